"""Statistics of bilingual mixtures from the first paper (arXiv 2604.13286, P1), as published and with our intervals.

Each function returns a table with the published statistic and its interval (`as_published`), and ours: paired by item,
with items resampled jointly for all cells (`cells`). Neither includes run-to-run noise, which a single seed cannot
estimate.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import polars as pl

from crosslift.scores import metric_range
from crosslift.streams import stream
from crosslift.transfer.estimates.language_groups import ENGLISH
from crosslift.transfer.grid import as_published
from crosslift.transfer.grid.cells import Cells

EVALUATION_GROUPS: tuple[as_published.EvaluationGroup, ...] = ("English", "direct", "transfer")
NUM_PUBLISHED_RESAMPLES = 2000
"""Resamples of cells for the bootstrap intervals of the papers."""


def _pairs(cells: Cells) -> tuple[pl.DataFrame, np.ndarray]:
    """Bilingual minus English-only: a table with one row per pair (evaluation, model, partner, language, group), and
    the differences under each resample, shape (pairs, 1 + resamples)."""
    trained = pl.col("languages").list.len()
    english = pl.col("languages").list.contains(ENGLISH)
    grid = coverage_grid(cells)
    controls = grid.where(trained == 1, english)
    control = controls.index("evaluation", "model", "language")
    bilingual = grid.where(trained == 2, english)
    rows, draws = [], [np.empty((0, cells.draws.shape[1]))]
    for place, row in enumerate(bilingual.table.iter_rows(named=True)):
        key = (row["evaluation"], row["model"], row["language"])
        if key not in control:
            continue
        partner = next(tag for tag in row["languages"] if tag != ENGLISH)
        asked = row["language"]
        group = "English" if asked == ENGLISH else "direct" if asked == partner else "transfer"
        rows.append(
            {name: row[name] for name in ("evaluation", "model", "language")} | {"partner": partner, "group": group}
        )
        draws.append((bilingual.draws[place] - controls.draws[control[key]])[None])
    return pl.DataFrame(rows), np.concatenate(draws)


def coverage_grid(cells: Cells, *, base: bool = False) -> Cells:
    """Per evaluation, the cells of the first family that has mixtures of one and of two languages.

    This is the main grid of a study without additional arms, which have other research questions (e.g. a fixed total).

    Args:
        cells: all cells of the study.
        base: include the base models.
    """
    first: dict[str, str] = {}
    sizes = cells.table.group_by("evaluation", "family", maintain_order=True).agg(
        pl.col("languages").list.len().unique()
    )
    for evaluation, family, found in sizes.iter_rows():
        if family and {1, 2} <= set(found):
            first.setdefault(evaluation, family)
    own = pl.col("family") == pl.col("evaluation").replace_strict(first, default="", return_dtype=pl.String)
    return cells.where((own & (pl.col("family") != "")) | (pl.lit(base) & (pl.col("mixture") == "base")))


def bilingual_statistics(cells: Cells) -> pl.DataFrame:
    """P1's Figure 3 and Table 2: bilingual minus English-only, by evaluation and group, and over all evaluations.

    Returns:
        evaluation ("all" for all, if they have one unit), group, num_cells, median, median_low, median_high (as
        published: bootstrap over cells), num_wins, share, share_low, share_high (as published: Wilson), mean, low, high
        (ours). Differences are in the unit of the scores.
    """
    table, draws = _pairs(cells)
    rows: list[dict[str, Any]] = []
    if table.is_empty():
        return pl.DataFrame()
    metrics = cells.metrics
    evaluations = table["evaluation"].unique(maintain_order=True).to_list()
    one_unit = len({metric_range(metrics[name]) for name in evaluations}) == 1
    for evaluation, group in product([*evaluations, *(["all"] if one_unit else [])], EVALUATION_GROUPS):
        chosen = (table["group"] == group) & ((table["evaluation"] == evaluation) | (evaluation == "all"))
        part = draws[chosen.to_numpy()]
        if not len(part):
            continue
        printed = as_published.win_statistics(part[:, 0].tolist(), level=cells.level)
        low, high = _bootstrap_median(part[:, 0], cells.level)
        ours = cells.interval(part.mean(axis=0))
        rows.append(
            {
                "evaluation": evaluation,
                "group": group,
                "num_cells": len(part),
                "median": printed.median,
                "median_low": low,
                "median_high": high,
                "num_wins": printed.num_wins,
                "share": printed.share,
                "share_low": printed.low,
                "share_high": printed.high,
            }
            | ours.as_columns()
        )
    return pl.DataFrame(rows)


def _bootstrap_median(values: np.ndarray, level: float) -> tuple[float, float]:
    generator = stream(0, "transfer", "printed", "median")
    drawn = generator.choice(values, size=(NUM_PUBLISHED_RESAMPLES, len(values)))
    low, high = np.quantile(np.median(drawn, axis=1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
