"""Formatting of numbers in the text of a report.

Scores are shares and shown in points (hundredths). Ratings of a judge are shown in their own unit, from 1 to 5.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import polars as pl

from crosslift.scores import RANGES, metric_range

POINTS = 100.0
RATIOS = ("relative_to_english", "relative_to_english_gain", "retention")
"""Estimands that are ratios: hundredths are per cent, whatever the unit of the scores."""


def factor_of(metric: str | None) -> float:
    """What a score is multiplied by to be shown: 100 for shares, 1 for ratings."""
    return 1.0 if metric in RANGES else POINTS


def factor() -> pl.Expr:
    """`factor_of` the columns `metric` and `estimand`."""
    ratio = pl.col("estimand").is_in(list(RATIOS)).fill_null(False)
    return pl.when(pl.col("metric").is_in(list(RANGES)) & ~ratio).then(1.0).otherwise(POINTS)


def points_text(value: float | None, *, signed: bool = False, metric: str | None = None) -> str:
    """A score as shown, with a true minus sign: a share in points with one decimal, 0.0312 -> "3.1", signed "+3.1"; a
    rating with two decimals; an en dash for None."""
    if value is None:
        return "–"
    digits = 1 if factor_of(metric) == POINTS else 2
    text = f"{factor_of(metric) * value:{'+' if signed else ''}.{digits}f}"
    return text.replace("-", "−") if float(text) else f"{0:.{digits}f}"


def interval_text(row: dict[str, Any], *, signed: bool = False) -> str:
    """An interval in the unit of the row's `metric`, `[1.2, 4.0]`; empty without limits."""
    if row["low"] is None:
        return ""
    metric = None if row.get("estimand") in RATIOS else row.get("metric")
    low, high = (points_text(row[end], signed=signed, metric=metric) for end in ("low", "high"))
    return f"[{low}, {high}]"


def unit_of(metrics: Iterable[str]) -> str:
    """The unit in which scores of some metrics are shown: "points", "rating from 1 to 5", or both."""
    found = dict.fromkeys("points" if factor_of(one) == POINTS else _rating(one) for one in metrics)
    return "; ".join(found) or "points"


def _rating(metric: str) -> str:
    low, high = metric_range(metric)
    return f"{metric} from {low:g} to {high:g}"


def points_word(metric: str | None) -> str:
    """What follows a difference in a sentence: "points", or "rating points" for a judge's ratings."""
    return "points" if factor_of(metric) == POINTS else "rating points"


def p_value_text(p: float | None) -> str:
    """A p-value, `p = .012` or `p < .001`; empty for None."""
    if p is None:
        return ""
    return "p < .001" if p < 0.001 else f"p = {p:.3f}".replace("0.", ".", 1)
