"""Two conditions compared on all cells that both were evaluated on.

    contrasts   list of tables: claim, treatment and control (columns and values that select them), and `above`
    match       columns that must be equal for two cells to form a pair: ["model", "task", "language"]
    cluster     columns that define correlated cells: ["task", "language"]; default: match without "model"
    unit        factor for differences in the output

The mean difference has a t interval over clusters, each with the mean of its pairs: models evaluated on one test set
share its items and are not independent. The share of pairs in which the treatment scores higher has an interval over
resampled clusters, and, for comparison, Wilson's interval as most papers report it, which assumes independent pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from scipy import stats

from crosslift.errors import TransferError
from crosslift.importing.results import Results
from crosslift.streams import stream
from crosslift.transfer.answers import Analysis, Answer, verdict
from crosslift.transfer.estimates.wilson import wilson_interval

OPTIONS: dict[str, type] = {"contrasts": list, "match": list, "cluster": list, "unit": float}
NUM_RESAMPLES = 4000


def analyse(results: Results, options: Mapping[str, Any]) -> Analysis:
    """Mean difference and share of pairs won for each contrast, and a table of pairs.

    Args:
        results: imported results.
        options: see the module's docstring.

    Raises:
        TransferError: a side of a contrast has no cells, or the sides have no pair.
    """
    match = list(options.get("match", ["model", "task", "language"]))
    cluster = list(options.get("cluster", [name for name in match if name != "model"]))
    unit = float(options.get("unit", 1.0))
    answers, parts = [], []
    for contrast in options["contrasts"]:
        pairs = matched_pairs(results.table(), contrast, [*match, "metric"])
        parts.append(pairs.with_columns(claim=pl.lit(contrast["claim"])))
        answers += _answers(pairs, contrast, cluster, unit)
    return Analysis(kind="pairs", answers=answers, tables={"pairs": pl.concat(parts)})


def matched_pairs(table: pl.DataFrame, contrast: Mapping[str, Any], match: list[str]) -> pl.DataFrame:
    """Pairs of cells of a contrast: columns `match`, treatment, control, their runs, and difference.

    Args:
        table: cells joined with their runs.
        contrast: claim, treatment and control.
        match: columns that must be equal; replicates are averaged.

    Raises:
        TransferError: a side has no cells, or the sides have no pair.
    """
    sides = {}
    for side in ("treatment", "control"):
        chosen = table.filter(pl.col("value").is_not_null())
        for column, value in contrast[side].items():
            chosen = chosen.filter(pl.col(column) == value)
        if chosen.is_empty():
            raise TransferError(f"{contrast['claim']}: no cells with {dict(contrast[side])}.")
        if chosen.select(match).is_duplicated().any():  # average replicates
            chosen = chosen.group_by(match, maintain_order=True).agg(pl.col("value").mean(), pl.col("run").first())
        sides[side] = chosen.select(*match, pl.col("value").alias(side), pl.col("run").alias(f"{side}_run"))
    pairs = sides["treatment"].join(sides["control"], on=match, how="inner", maintain_order="left", nulls_equal=True)
    if pairs.is_empty():
        raise TransferError(f"{contrast['claim']}: treatment and control have no pair with equal {', '.join(match)}.")
    return pairs.with_columns(difference=pl.col("treatment") - pl.col("control"))


def _answers(pairs: pl.DataFrame, contrast: Mapping[str, Any], cluster: list[str], unit: float) -> list[Answer]:
    runs = sorted({*pairs["treatment_run"], *pairs["control_run"]})
    groups = pairs.group_by(cluster, maintain_order=True).agg(
        mean=pl.col("difference").mean(), won=(pl.col("difference") > 0).sum(), number=pl.len()
    )
    means, n = groups["mean"].to_numpy(), groups.height
    value = float(pairs["difference"].mean())  # type: ignore[arg-type]
    low = high = None
    if n > 1:
        half = float(stats.t.ppf(0.975, n - 1) * means.std(ddof=1) / np.sqrt(n))
        low, high = unit * (value - half), unit * (value + half)
    bound = float(contrast.get("above", 0.0))
    found = verdict(None if low is None else low - bound, None if high is None else high - bound)
    about = f"{_values_text(contrast['treatment'])} against {_values_text(contrast['control'])}"
    won = int(groups["won"].sum())
    naive = wilson_interval(won, pairs.height)
    generator = stream(0, "pairs", contrast["claim"])
    drawn = generator.integers(0, n, size=(NUM_RESAMPLES, max(n - 1, 1)))
    shares = groups["won"].to_numpy()[drawn].sum(axis=1) / groups["number"].to_numpy()[drawn].sum(axis=1)
    share_low, share_high = np.quantile(shares, [0.025, 0.975])
    p = float(stats.ttest_1samp(means, 0).pvalue) if n > 1 and means.std() > 0 else float("nan")
    return [
        Answer(
            question=contrast["claim"], about=about, measure="mean difference", value=unit * value, low=low, high=high,
            verdict=found, runs=runs, printed=contrast.get("printed"), decimals=int(contrast.get("decimals", 1)),
            note=f"{pairs.height} pairs in {n} clusters, p = {p:.2g}",
        ),
        Answer(
            question=contrast["claim"], about=about, measure="share of pairs won, %", value=100 * won / pairs.height,
            low=100 * float(share_low), high=100 * float(share_high), runs=runs,
            note=f"clusters resampled; Wilson, as if independent: [{100 * naive[0]:.1f}, {100 * naive[1]:.1f}]",
        ),
    ]  # fmt: skip


def _values_text(where: Mapping[str, Any]) -> str:
    return ", ".join(str(value) for value in where.values())
