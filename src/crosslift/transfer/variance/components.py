"""Variance components of scores: items, languages, models, mixtures, runs, and their interactions."""

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
"""Crossed random effects -> columns that identify their levels. The residual contains item x run and chance."""
MAX_LEVELS = 600
"""Upper bound on the levels of all random effects together; above it, an evenly spaced subset of the items is used."""


def variance_components(scores: pl.DataFrame, runs: pl.DataFrame) -> pl.DataFrame:
    """Variance components of scores of single answers, per evaluation.

    Fits a mixed model with an intercept and crossed random effects by restricted maximum likelihood. Effects with one
    level are omitted, and effects that are confounded with another one because they have the same number of levels
    (e.g. runs, if every condition has one seed).

    Args:
        scores: columns as in `crosslift.scores.SCORES`, one metric per evaluation; runs of base models are ignored.
        runs: columns as in `crosslift.scores.RUNS`.

    Returns:
        evaluation, part, deviation (standard deviation, in the unit of the scores), share (of the total variance).
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
    """An evenly spaced subset of the items such that all random effects together stay below MAX_LEVELS."""
    items = part["item_id"].unique().sort()
    others = part.select(pl.struct("run", "language").n_unique()).item() // max(part["language"].n_unique(), 1)
    most = max(20, (MAX_LEVELS - others) // (1 + part["language"].n_unique()))
    if len(items) <= most:
        return part
    kept = items.gather_every(-(-len(items) // most))
    return part.filter(pl.col("item_id").is_in(kept.implode()))
