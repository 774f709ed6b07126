"""Mean scores by number of training languages (arXiv 2604.13286, Figure 2, P1), in two readings.

As published: Wilson's interval of all answers of all mixtures with that number, as if they were independent trials.
Ours: the mean over the same cells, with items resampled jointly for all of them.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from crosslift.languages.language import language
from crosslift.scores import RANGES
from crosslift.transfer.estimates.wilson import wilson_interval_of_share
from crosslift.transfer.grid.bilingual import coverage_grid
from crosslift.transfer.grid.cells import Cells


def scores_by_number(cells: Cells) -> pl.DataFrame:
    """P1's Figure 2, one row per evaluation, model, group of languages and number of training languages.

    Args:
        cells: all cells of the study.

    Returns:
        evaluation, model, group ("high" or "low" resources), num_languages (0: the base model), num_cells, mean, low,
        high (ours), wilson_low, wilson_high (as published; null for ratings, which are no shares).
    """
    grid = coverage_grid(cells, base=True)
    if not grid.table["family"].is_in([""]).not_().any():
        return pl.DataFrame()
    rows: list[dict[str, Any]] = []
    table = grid.table.with_columns(num_languages=pl.col("languages").list.len())
    keys = table.select("evaluation", "model", "num_languages").unique(maintain_order=True)
    for evaluation, model, number in keys.iter_rows():
        part = grid.where(pl.col("languages").list.len() == number, evaluation=evaluation, model=model)
        for group in ("high", "low"):
            tags = [tag for tag in part.table["language"].unique() if language(tag).resource == group]
            here = part.where(pl.col("language").is_in(tags))
            if here.table.is_empty():
                continue
            found = here.interval(here.mean())
            row = {"evaluation": evaluation, "model": model, "group": group, "num_languages": int(number)}
            row |= {"num_cells": here.table.height} | found.as_columns()
            limits: tuple[float | None, float | None] = (None, None)
            if here.metrics[evaluation] not in RANGES:
                trials = here.table.height * cells.num_items[evaluation]
                limits = wilson_interval_of_share(found.value, trials, level=cells.level)
            rows.append(row | {"wilson_low": limits[0], "wilson_high": limits[1]})
    return pl.DataFrame(rows, schema_overrides={"wilson_low": pl.Float64, "wilson_high": pl.Float64})
