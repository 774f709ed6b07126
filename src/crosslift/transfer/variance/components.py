"""Where the differences between scores lie: how much belongs to items, languages, models, mixtures and seeds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from crosslift.transfer.variance.mixed_model import fit_mixed_model, level_codes

RANDOM_EFFECTS: Mapping[str, tuple[str, ...]] = {
    "item": ("item_id",),
    "item x language": ("item_id", "language"),
    "language": ("language",),
    "model": ("model",),
    "mixture": ("mixture",),
    "model x language": ("model", "language"),
    "mixture x language": ("mixture", "language"),
    "model x mixture": ("model", "mixture"),
    "run": ("run",),
}
"""Random effects, crossed. What is left (item x run, and chance) is the residual."""
MAX_LEVELS = 600
"""Of all effects together; beyond that a subset of the items is taken, evenly."""


def variance_components(scores: pl.DataFrame, runs: pl.DataFrame) -> pl.DataFrame:
    """Shares of the variance of single answers, per evaluation.

    A mixed model with an intercept and all effects crossed, by restricted maximum likelihood. Effects with one level,
    or with as many levels as another effect they would be confused with (runs, where every condition has one), are
    left out.

    Args:
        scores: of one metric per evaluation; base models' runs do not take part.
        runs: columns as in `scores.RUNS`.

    Returns:
        evaluation, part, deviation (standard deviation, in the unit of the scores), share.
    """
    trained = runs.filter(pl.col("mixture") != "base").select("run", "model", "mixture")
    table = scores.filter(pl.col("value").is_not_null()).join(trained, on="run", how="inner")
    rows: list[dict[str, object]] = []
    for (evaluation,), part in table.group_by("evaluation", maintain_order=True):
        subsample = _subsample_items(part)
        groups: dict[str, np.ndarray] = {}
        sizes: dict[tuple[str, ...], int] = {}
        for name, columns in RANDOM_EFFECTS.items():
            codes = level_codes(subsample.select(pl.concat_str(*columns, separator="\x1f")).to_series().to_numpy())
            levels = int(codes.max()) + 1
            same = [other for other in sizes if set(other) < set(columns) and sizes[other] == levels]
            is_run = columns == ("run",) and sizes.get(("model", "mixture")) == levels
            if 1 < levels < subsample.height and not same and not is_run:
                groups[name], sizes[columns] = codes, levels
        values = subsample["value"].to_numpy()
        if not groups or float(values.std()) == 0:
            continue
        fit = fit_mixed_model(values, np.ones((subsample.height, 1)), groups)
        for name, share in fit.variance_shares.items():
            deviation = fit.residual_sd if name == "residual" else fit.standard_deviations[name]
            rows.append({"evaluation": evaluation, "part": name, "deviation": deviation, "share": share})
    schema = {"evaluation": pl.String(), "part": pl.String(), "deviation": pl.Float64(), "share": pl.Float64()}
    return pl.DataFrame(rows, schema=schema)


def _subsample_items(part: pl.DataFrame) -> pl.DataFrame:
    """So many items that all effects together stay below MAX_LEVELS."""
    items = part["item_id"].unique().sort()
    others = part.select(pl.struct("run", "language").n_unique()).item() // max(part["language"].n_unique(), 1)
    most = max(20, (MAX_LEVELS - others) // (1 + part["language"].n_unique()))
    if len(items) <= most:
        return part
    kept = items.gather_every(-(-len(items) // most))
    return part.filter(pl.col("item_id").is_in(kept.implode()))
