"""How precisely a score was measured: the effective number of items of each cell.

The difference of two runs on the same items is measured more precisely than two independent samples of items would
allow, because items that are hard for one run are hard for the next. That common part of the items' noise shifts all
runs of a model alike and belongs to the level of the model in the language; what is left is the noise of a cell. With
the mean correlation r between runs of one model over items it is (1 - r) times the variance of the mean over items. It
is expressed as the number n of independent right-or-wrong items that would give this noise: variance = p (1 - p) / n.
"""

from __future__ import annotations

import polars as pl

LARGEST_CORRELATION = 0.95
"""Upper limit of the correlation between runs."""


def effective_items(scores: pl.DataFrame, *, low: float = 0.0, high: float = 1.0) -> pl.DataFrame:
    """Effective number of items of each run and language.

    Args:
        scores: columns run, model, language, cluster and value, one row per sample of one metric; without nulls.
        low: lower end of the metric's range.
        high: upper end of the metric's range.

    Returns:
        Columns run, language, num_effective. Of a single run per model, the noise includes the difficulty of items.
    """
    values = (pl.col("value") - low) / (high - low)
    clusters = scores.group_by("run", "model", "language", "cluster").agg(value=values.mean())
    cells = clusters.group_by("run", "model", "language").agg(
        share=pl.col("value").mean(), variance=pl.col("value").var(ddof=0), num=pl.len()
    )
    # How much the values of items vary, relative to values of 0 and 1; pooled, because it is 0/0 where all are 0.
    share, variance = cells["share"].to_numpy(), cells["variance"].to_numpy()
    binary, varied = float((share * (1 - share)).sum()), float(variance.sum())
    factor = binary / varied if varied > 0 else 1.0
    common = _correlation(clusters, cells)
    return cells.select("run", "language", num_effective=pl.col("num") * (factor / (1 - common)))


def _correlation(clusters: pl.DataFrame, cells: pl.DataFrame) -> float:
    """Mean correlation over items between two runs of one model in one language."""
    keys = ["run", "model", "language"]
    usable = cells.filter(pl.col("variance") > 0)
    scaled = clusters.join(usable, on=keys).with_columns(
        z=(pl.col("value") - pl.col("share")) / pl.col("variance").sqrt()
    )
    sums = scaled.group_by("model", "language", "cluster").agg(pl.col("z").sum())
    total = sums.group_by("model", "language").agg(squares=(pl.col("z") ** 2).mean())
    runs = usable.group_by("model", "language").agg(runs=pl.len())
    table = total.join(runs, on=["model", "language"])
    squares, num = table["squares"].to_numpy(), table["runs"].to_numpy().astype(float)
    num_pairs = float((num * (num - 1)).sum())
    if not num_pairs:
        return 0.0
    # The variance of a sum of standardised values is the sum of all correlations.
    return min(max(float((squares - num).sum()) / num_pairs, 0.0), LARGEST_CORRELATION)
