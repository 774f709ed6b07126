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

from crosslift.languages.language import language
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
        evaluation ("all" for all, if they have one unit), group, num_cells, median, median_low, median_high (as published: bootstrap over
        cells), num_wins, share, share_low, share_high (as published: Wilson), mean, low, high (ours). Differences are
        in the unit of the scores.
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


def zero_shot_differences(cells: Cells) -> pl.DataFrame:
    """P1's Figures 4 and 9: zero-shot transfer from mixtures of L languages minus direct bilingual training.

    Direct is the bilingual mixture with the language (for English, the mean over the bilingual mixtures); zero-shot is
    the mean over the mixtures of L >= 3 languages without it.

    Returns:
        evaluation, model, language, resource, num_languages, direct, zero_shot, mean, low, high (zero-shot minus
        direct, ours), in the unit of the scores.
    """
    size = pl.col("languages").list.len()
    grid = coverage_grid(cells)
    bilinguals = grid.where(size == 2, pl.col("languages").list.contains(ENGLISH))
    larger = grid.where(size >= 3)
    rows: list[dict[str, Any]] = []
    keys = bilinguals.table.select("evaluation", "model", "language").unique(maintain_order=True)
    for evaluation, model, tag in keys.iter_rows():
        here = {"evaluation": evaluation, "model": model, "language": tag}
        direct = bilinguals.where(pl.col("languages").list.contains(tag), **here)
        without = larger.where(~pl.col("languages").list.contains(tag), **here)
        if not direct.table.height:
            continue
        for count in sorted(without.table["languages"].list.len().unique()):
            shot = without.where(size == count)
            difference = shot.mean() - direct.mean()
            rows.append(
                here
                | {"resource": language(tag).resource, "num_languages": int(count)}
                | {"direct": float(direct.mean()[0]), "zero_shot": float(shot.mean()[0])}
                | cells.interval(difference).as_columns()
            )
    return pl.DataFrame(rows)


def count_not_worse(found: pl.DataFrame) -> pl.DataFrame:
    """P1's section 4.3: number of cases in which zero-shot is not significantly worse than direct, by group and L.

    Args:
        found: a table of `zero_shot_differences`.

    Returns:
        group ("English", "high", "low"), num_languages, num_cases, not_worse, better.
    """
    if found.is_empty():
        return found
    group = pl.when(pl.col("language") == ENGLISH).then(pl.lit("English")).otherwise(pl.col("resource"))
    return (
        found.with_columns(group=group)
        .group_by("group", "num_languages")
        .agg(num_cases=pl.len(), not_worse=(pl.col("high") >= 0).sum(), better=(pl.col("low") > 0).sum())
        .sort(
            pl.col("group").replace_strict({"English": 0, "high": 1, "low": 2}, return_dtype=pl.Int64), "num_languages"
        )
    )
