"""Statistics as the two studies print them, so that they can stand beside ours.

They treat every cell (model x mixture x language) as one independent number: no pairing by item, and runs that share a
baseline count as if they did not. That is how they were published, not how a question should be answered; our own
estimates are in `estimands`. P1 is arXiv 2604.13286, P2 is arXiv 2504.16677.

A table of cells has one row per run and evaluation language: `model`, `task`, `languages` (trained on), `language`
(evaluated), `dose` (items of each language but the fixed one, null outside dose families) and `value`, the mean score.
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
"""Where a bilingual mixture is evaluated: in English, in its other language, in a language it does not train on."""

CELLS = ("model", "task", "languages", "language", "dose", "value")


@dataclass(frozen=True, kw_only=True)
class Wins:
    """How often treatments beat their control, as P1's Table 2 prints it."""

    num_wins: int
    num_cells: int
    share: float
    low: float
    high: float
    median: float
    """Of the differences, in the unit of the scores."""


def bilingual_gains(cells: pl.DataFrame) -> pl.DataFrame:
    """Every bilingual mixture minus English-only of the same model and task, language by language.

    Returns:
        Columns model, task, partner (the other language), language, group (see `EvaluationGroup`), gain.
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
    """Mean over the evaluated languages but English, and that mean divided by English of the same run (P2).

    Returns:
        Columns model, task, languages, dose, non_english, english, relative.
    """
    run = ["model", "task", "languages", "dose"]
    english = cells.filter(language=ENGLISH).select(*run, english="value")
    others = cells.filter(pl.col("language") != ENGLISH)
    means = others.group_by(run, maintain_order=True).agg(non_english=pl.col("value").mean())
    joined = means.join(english, on=run, how="inner", maintain_order="left", nulls_equal=True)
    return joined.with_columns(relative=pl.col("non_english") / pl.col("english"))


def largest_dose_gain(relative: Sequence[float], doses: Sequence[int]) -> float:
    """The best relative performance over all doses minus that without any (P2's gains of 6.8 and 8.7 points).

    The best of several noisy numbers is too large: this statistic is above 0 where nothing is gained.

    Raises:
        ValueError: there is no dose of 0.
    """
    if 0 not in doses:
        raise ValueError("a gain is measured from a dose of 0, and there is none")
    return max(relative) - relative[list(doses).index(0)]


def seen_unseen_correlation(seen: Sequence[float], unseen: Sequence[float]) -> float:
    """Spearman's rank correlation of the means over seen and over unseen languages, over doses (P2); NaN where one side
    does not vary.

    Raises:
        ValueError: fewer than three doses.
    """
    if len(seen) < 3:
        raise ValueError(f"a rank correlation over {len(seen)} doses says nothing")
    if len(set(seen)) == 1 or len(set(unseen)) == 1:  # nothing varies, so there are no ranks
        return math.nan
    return float(spearmanr(seen, unseen).statistic)
