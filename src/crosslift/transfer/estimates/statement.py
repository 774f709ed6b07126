"""A statement on its way into the table: what it is about, the number behind it, or why there is none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from crosslift.streams import stream
from crosslift.transfer.estimates import resampling as resample
from crosslift.transfer.estimates.conditions import ResampledPanel
from crosslift.transfer.estimates.number import ResampledStatistic
from crosslift.transfer.estimates.wilson import zero_variance_half_width

MIN_SIGN_FLIPS = 9999


@dataclass(frozen=True, kw_only=True)
class Statement:
    """`number` is None if and only if `problem` says why."""

    columns: dict[str, Any]
    """Of ESTIMATES: all that identifies the statement."""
    statistic: ResampledStatistic | None
    unavailable_reason: str
    language_positions: np.ndarray
    """Of the languages that it is about."""
    bounds: tuple[float, float]
    tested: bool
    """Is 0 a hypothesis worth a p-value?"""
    notes: tuple[str, ...] = field(default=())


def rows_of_statements(
    resampled: ResampledPanel, statements: Iterable[Statement], *, level: float
) -> list[dict[str, Any]]:
    """Rows of ESTIMATES, in the order of the statements. Draws are let go one by one, flips made for all at once."""
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
    """The row, and the cluster contributions where its p-value is still to come from sign flips."""
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
        reach = zero_variance_half_width(num_clusters, level)
        low, high = statistic.value - reach, statistic.value + reach
        notes.insert(0, "all items alike: Wilson's bound instead of resampling")
    lowest, highest = statement.bounds
    seeds = bool(statistic.observed_run_sd)
    sampled = "items and seeds" if seeds else "items"
    row |= {"low": max(low, lowest), "high": min(high, highest), "note": "; ".join(notes)}
    row["method"] = f"expanded percentile bootstrap over {sampled}"
    if not statement.tested:
        return row, None
    if statistic.contributions is not None and not seeds:
        row["method"] += "; p by sign flips"
        return row, statistic.contributions
    row["method"] += "; p by t"
    row["p"] = resample.t_test_p_value(statistic.value, interval.standard_error, interval.df)
    return row, None
