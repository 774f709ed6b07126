"""Statements: a statistic and its description, before it becomes a row of the table of estimates."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from crosslift.scores import metric_range
from crosslift.streams import stream
from crosslift.transfer.estimates import resampling as resample
from crosslift.transfer.estimates.conditions import ResampledPanel
from crosslift.transfer.estimates.number import ResampledStatistic
from crosslift.transfer.estimates.wilson import zero_variance_half_width

MIN_SIGN_FLIPS = 9999
"""Smallest number of random sign flips of a permutation test."""


@dataclass(frozen=True, kw_only=True)
class Statement:
    """An estimate to report. `statistic` is None if and only if `unavailable_reason` is not empty."""

    columns: dict[str, Any]
    """The columns of ESTIMATES that identify the statement."""
    statistic: ResampledStatistic | None
    unavailable_reason: str
    """Why there is no value."""
    language_positions: np.ndarray
    """Positions of the languages that the statement is about, shape (languages,)."""
    bounds: tuple[float, float]
    """Smallest and largest possible value; the interval is truncated to them."""
    tested: bool
    """Whether the null hypothesis "the value is 0" is tested."""
    notes: tuple[str, ...] = field(default=())
    """Further remarks for the column `note`."""


def rows_of_statements(
    resampled: ResampledPanel, statements: Iterable[Statement], *, level: float
) -> list[dict[str, Any]]:
    """Compute intervals and p-values of statements.

    Only one statement's draws are in memory at a time; the sign-flip tests are computed together.

    Args:
        resampled: the panel that the statements are computed from.
        statements: in the order of the rows.
        level: coverage of each single interval.

    Returns:
        Rows of ESTIMATES, in the order of the statements.
    """
    rows: list[dict[str, Any]] = []
    flipped: list[tuple[int, np.ndarray]] = []
    for statement in statements:
        row, contributions = _conclude(resampled, statement, level)
        if contributions is not None:
            flipped.append((len(rows), contributions))
        rows.append(row)
    if flipped:
        panel = resampled.panel
        generator = stream(resampled.seed, "transfer", "signs", panel.evaluation)
        flips = resample.random_signs(panel.num_clusters, max(MIN_SIGN_FLIPS, resampled.num_resamples), generator)
        values = resample.sign_flip_p_value(np.stack([contributions for _, contributions in flipped]), flips)
        for (index, _), p in zip(flipped, values, strict=True):
            rows[index]["p"] = float(p)
    return rows


def _conclude(
    resampled: ResampledPanel, statement: Statement, level: float
) -> tuple[dict[str, Any], np.ndarray | None]:
    """The row of a statement, and the contributions of the clusters if its p-value comes from sign flips."""
    panel, statistic = resampled.panel, statement.statistic
    num_items = panel.num_items[statement.language_positions]
    num_clusters = int((num_items > 0).any(axis=0).sum()) if len(num_items) else 0
    row: dict[str, Any] = statement.columns | {
        "evaluation": panel.evaluation,
        "task": panel.task,
        "metric": panel.metric,
        "level": level,
        "num_items": int(num_items.max(axis=0).sum()) if len(num_items) else 0,
        "num_clusters": num_clusters,
        "method": "",
    }
    if statistic is None:
        return row | {"note": statement.unavailable_reason}, None
    if np.isnan(statistic.value):
        return row | {"note": "0 below the line: no ratio"}, None
    notes = list(statement.notes)
    row["value"] = statistic.value
    if statistic.single_seed_conditions:
        notes.append("one seed: run-to-run noise is not in the interval")
    if num_clusters < 2 or not np.isfinite(statistic.draws).all():
        reason = "one cluster" if num_clusters < 2 else "0 below the line or a language without items in some resamples"
        return row | {"note": "; ".join([f"{reason}: no interval", *notes])}, None

    interval = statistic.interval(resampled, num_clusters=num_clusters, level=level)
    low, high = interval.low, interval.high
    if interval.standard_error == 0 and statistic.contributions is not None:
        # Wilson's bound is one of shares of a range; without an upper limit, equal items say nothing about others.
        lowest, highest = metric_range(panel.metric)
        width = highest - lowest
        reach = width * zero_variance_half_width(num_clusters, level) if math.isfinite(width) else math.inf
        low, high = statistic.value - reach, statistic.value + reach
        notes.insert(0, "all items alike: Wilson's bound instead of resampling")
    lowest, highest = statement.bounds
    seeds = bool(statistic.observed_run_sd)
    sampled = "items and seeds" if seeds else "items"
    row |= {"low": max(low, lowest), "high": min(high, highest), "note": "; ".join(notes)}
    if math.isinf(row["high"]):
        row |= {"low": None, "high": None, "note": "; ".join(["all items alike: no interval", *notes[1:]])}
    row["method"] = f"expanded percentile bootstrap over {sampled}"
    if not statement.tested:
        return row, None
    if statistic.contributions is not None and not seeds:
        row["method"] += "; p by sign flips"
        return row, statistic.contributions
    row["method"] += "; p by t"
    row["p"] = resample.t_test_p_value(statistic.value, interval.standard_error, interval.df)
    return row, None
