"""Statistics as the two papers compute them, for comparison with ours. P1 is arXiv 2604.13286, P2 is arXiv 2504.16677.

The papers treat every cell (model x mixture x language) as one independent observation: there is no pairing by item,
and cells with a common baseline count as independent. These functions reproduce the published numbers; our own
estimates are in `estimands` and in `cells`.

A table of cells has one row per run and evaluation language: `model`, `task`, `languages` (trained on), `language`
(evaluated), `dose` (items per language of a dose family, null for other families) and `value`, the mean score.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from scipy.stats import spearmanr

from crosslift.transfer.estimates.language_groups import ENGLISH
from crosslift.transfer.estimates.wilson import wilson_interval

EvaluationGroup = Literal["English", "direct", "transfer"]
"""Evaluation language of a bilingual mixture: English, its other training language (direct), or a language that it is
not trained on (transfer)."""

CELLS = ("model", "task", "languages", "language", "dose", "value")
"""Columns of a table of cells."""


@dataclass(frozen=True, kw_only=True)
class Wins:
    """Share of cells in which the treatment scores higher than its control, as in P1's Table 2."""

    num_wins: int
    num_cells: int
    share: float
    """num_wins / num_cells."""
    low: float
    """Lower limit of Wilson's interval of the share."""
    high: float
    """Upper limit of Wilson's interval of the share."""
    median: float
    """Median of the differences, in the unit of the scores."""


def bilingual_gains(cells: pl.DataFrame) -> pl.DataFrame:
    """Every bilingual mixture minus English-only training of the same model and task, per language.

    Args:
        cells: a table of cells, see the module's docstring.

    Returns:
        model, task, partner (the other training language), language, group (see `EvaluationGroup`), gain in the unit of
        the scores.
    """
    trained = pl.col("languages").list.len()
    english = cells.filter((trained == 1) & pl.col("languages").list.contains(ENGLISH))
    control = english.select("model", "task", "language", control="value")
    bilingual = cells.filter((trained == 2) & pl.col("languages").list.contains(ENGLISH))
    partner = pl.col("languages").list.set_difference([ENGLISH]).list.first()
    group = (
        pl.when(pl.col("language") == ENGLISH)
        .then(pl.lit("English"))
        .when(pl.col("language") == pl.col("partner"))
        .then(pl.lit("direct"))
        .otherwise(pl.lit("transfer"))
    )
    return (
        bilingual.with_columns(partner=partner)
        .join(control, on=["model", "task", "language"], how="inner", maintain_order="left")
        .with_columns(group=group, gain=pl.col("value") - pl.col("control"))
        .select("model", "task", "partner", "language", "group", "gain")
    )


def win_statistics(gains: Sequence[float], *, level: float = 0.95) -> Wins:
    """Share of positive differences with Wilson's interval, and the median difference.

    Args:
        gains: differences treatment minus control, one per cell.
        level: coverage of the interval.

    Raises:
        ValueError: there are no differences.
    """
    num_wins = sum(gain > 0 for gain in gains)
    low, high = wilson_interval(num_wins, len(gains), level=level)
    return Wins(
        num_wins=num_wins,
        num_cells=len(gains),
        share=num_wins / len(gains),
        low=low,
        high=high,
        median=float(np.median(gains)),
    )


def relative_to_english(cells: pl.DataFrame) -> pl.DataFrame:
    """Mean over the non-English languages, and its ratio to the English score of the same run (P2).

    Args:
        cells: a table of cells, see the module's docstring.

    Returns:
        model, task, languages, dose, non_english, english, relative.
    """
    run = ["model", "task", "languages", "dose"]
    english = cells.filter(language=ENGLISH).select(*run, english="value")
    others = cells.filter(pl.col("language") != ENGLISH)
    means = others.group_by(run, maintain_order=True).agg(non_english=pl.col("value").mean())
    joined = means.join(english, on=run, how="inner", maintain_order="left", nulls_equal=True)
    return joined.with_columns(relative=pl.col("non_english") / pl.col("english"))


def largest_dose_gain(relative: Sequence[float], doses: Sequence[int]) -> float:
    """Largest relative performance over all doses minus that at dose 0 (P2's gains of 6.8 and 8.7 points).

    The maximum of noisy values is biased upwards: the expected value of this statistic is positive without any true
    gain.

    Args:
        relative: performance relative to English, one per dose.
        doses: the doses, in the same order.

    Raises:
        ValueError: there is no dose of 0.
    """
    if 0 not in doses:
        raise ValueError("a gain is relative to a dose of 0, and there is none")
    return max(relative) - relative[list(doses).index(0)]


def seen_unseen_correlation(seen: Sequence[float], unseen: Sequence[float]) -> float:
    """Spearman's rank correlation over doses between the mean scores of seen and unseen languages (P2).

    Args:
        seen: mean score over the seen languages, one per dose.
        unseen: mean score over the unseen languages, in the same order.

    Returns:
        The correlation; NaN if one side is constant.

    Raises:
        ValueError: fewer than three doses.
    """
    if len(seen) < 3:
        raise ValueError(f"a rank correlation needs at least 3 doses; there are {len(seen)}")
    if len(set(seen)) == 1 or len(set(unseen)) == 1:  # ranks are undefined
        return math.nan
    return float(spearmanr(seen, unseen).statistic)
