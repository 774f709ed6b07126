"""One pooled number: the estimates of one quantity in several studies, combined with the study as a level."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from crosslift.scores import RANGES
from crosslift.transfer.estimates import resampling as resample
from crosslift.transfer.estimates.number import ConditionKey, ResampledStatistic, linear_combination
from crosslift.transfer.estimates.wilson import zero_variance_half_width
from crosslift.transfer.variance.between_studies import (
    MIN_RANDOM,
    random_effects,
    weighted_mean,
)

POINTS = 100.0
NO_VARIANCE = 1e-20
"""Variance over resamples below which all items are alike, up to rounding."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """The estimate of one study."""

    place: int
    """Position of the study."""
    study: str
    group: str
    """Fingerprint of the test items; studies with equal ones share their resamples."""
    items: frozenset[str]
    """Content of the test items; empty if the prepared corpus is missing."""
    row: dict[str, Any]
    """Columns as in `transfer.estimates.estimate.ESTIMATES`, under the common names."""
    statistic: ResampledStatistic | None
    bounds: tuple[float, float]
    tested: bool
    is_primary_metric: bool
    standard_normals: Mapping[ConditionKey, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class PooledNumber:
    """The columns of a pooled estimate, and the weight of each study."""

    columns: dict[str, Any]
    weights: np.ndarray


def pooled_number(members: Sequence[Member], *, level: float) -> PooledNumber:
    """Pool the estimates of one quantity.

    Args:
        members: at least two, each with a statistic.
        level: coverage of the interval.

    Returns:
        Value, limits, p-value and heterogeneity.
    """
    statistics = [one.statistic for one in members if one.statistic is not None]
    values = np.array([one.value for one in statistics])
    covariance = _covariance(members, statistics, level)
    common = {
        "num_studies": len(members),
        "studies": ", ".join(one.study for one in members),
        "num_items": _num_different_items(members),
        "note": _note(members),
    }
    if len(members) < MIN_RANDOM:
        fixed, weights = _fixed(members, statistics, values, covariance, level)
        return PooledNumber(columns=common | fixed, weights=weights)
    found = random_effects(values, covariance, level=level)
    sd = _deviation(members[0], found.between_sd)
    if found.between_low is None or found.between_high is None:
        told = f"cannot tell: {len(members)} studies (estimate {sd})"
    else:
        limits = (_deviation(members[0], one, unit="") for one in (found.between_low, found.between_high))
        told = f"{sd} [{', '.join(limits)}]"
    p = resample.t_test_p_value(found.value, found.standard_error, found.df) if members[0].tested else None
    columns = {
        "effect": "random",
        "value": found.value,
        "low": max(found.low, members[0].bounds[0]),
        "high": min(found.high, members[0].bounds[1]),
        "p": p,
        "between_sd": found.between_sd,
        "between_low": found.between_low,
        "between_high": found.between_high,
        "heterogeneity": told,
        "method": "random effect of the study (REML), Hartung-Knapp interval",
    }
    return PooledNumber(columns=common | columns, weights=found.weights)


def _covariance(members: Sequence[Member], statistics: Sequence[ResampledStatistic], level: float) -> np.ndarray:
    """Covariance of the errors within studies: items, shared where the items are, and noise between runs."""
    draws = np.stack([one.draws[1:] for one in statistics])
    covariance = np.atleast_2d(np.cov(draws))
    groups = np.array([one.group for one in members])
    equal = groups[:, None] == groups[None, :]
    deviations = np.sqrt(np.diag(covariance))
    shared = _shared(members)
    covariance = np.where(equal, covariance, shared * np.outer(deviations, deviations))
    z = float(special.ndtri((1 + level) / 2))
    alike = np.diag(covariance) < NO_VARIANCE  # all items alike: as wide as the bound of a single study
    reach = [zero_variance_half_width(one.row["num_clusters"], level) / z for one in members]
    bound = np.where(alike, reach, 0.0)
    covariance = covariance + np.where(equal, 1.0, shared) * np.outer(bound, bound)
    noise = [sum(sd**2 for sd in one.component_run_sd.values()) for one in statistics]
    total: np.ndarray = covariance + np.diag(noise)
    return total


def _shared(members: Sequence[Member]) -> np.ndarray:
    """Greatest correlation of errors that common items can cause, for studies whose items are the same in part.

    With n common items of n_i and n_j, the covariance of two means over items is n / (n_i n_j) times the covariance of
    two scores of one item, which is at most the product of their deviations: the correlation is at most
    n / sqrt(n_i n_j).

    Returns:
        Shape (studies, studies); 0 for studies with equal items, which share their resamples.
    """
    found = np.zeros((len(members), len(members)))
    for i, one in enumerate(members):
        for j, other in enumerate(members):
            if one.group != other.group and one.items and other.items:
                found[i, j] = len(one.items & other.items) / math.sqrt(len(one.items) * len(other.items))
    return found


def _num_different_items(members: Sequence[Member]) -> int:
    groups = {one.group: one for one in members}.values()
    twice = sum(len(one.items) for one in groups) - len(frozenset().union(*(one.items for one in groups)))
    return int(sum(one.row["num_items"] for one in groups)) - twice


def _widened(
    draws: np.ndarray, members: Sequence[Member], statistics: Sequence[ResampledStatistic], weights: np.ndarray
) -> np.ndarray:
    """Widen the distribution of a weighted mean, whose terms were resampled independently, by their common items."""
    weighted = weights * np.array([one.draws[1:].std() for one in statistics])
    independent = float(draws[1:].var())
    if independent < NO_VARIANCE:
        return draws
    factor = math.sqrt(1 + float(weighted @ _shared(members) @ weighted) / independent)
    widened: np.ndarray = draws[0] + factor * (draws - draws[0])
    return widened


def _fixed(
    members: Sequence[Member],
    statistics: Sequence[ResampledStatistic],
    values: np.ndarray,
    covariance: np.ndarray,
    level: float,
) -> tuple[dict[str, Any], np.ndarray]:
    """Pool two studies with weights by precision, and the interval that a single study has."""
    value, variance, weights = weighted_mean(values, covariance)
    merged = linear_combination(zip(weights.tolist(), statistics, strict=True))
    noise = [
        resample.RunNoiseDraws(
            observed_sd=merged.observed_run_sd[key],
            component_sd=merged.component_run_sd[key],
            standard_normals=next(one.standard_normals[key] for one in members if key in one.standard_normals),
        )
        for key in sorted(merged.observed_run_sd)
    ]
    num_clusters = min(one.row["num_clusters"] for one in members)
    df_runs = min((one.df_runs for one in statistics if one.df_runs), default=0)  # conservative
    interval = resample.expanded_percentile_interval(
        _widened(merged.draws, members, statistics, weights),
        noise,
        df_runs=df_runs,
        num_clusters=num_clusters,
        level=level,
    )
    low, high, error = interval.low, interval.high, interval.standard_error
    if error**2 < NO_VARIANCE:
        error = math.sqrt(variance)
        half = float(special.ndtri((1 + level) / 2)) * error
        low, high = value - half, value + half
    columns = {
        "effect": "fixed",
        "value": value,
        "low": max(low, members[0].bounds[0]),
        "high": min(high, members[0].bounds[1]),
        "p": resample.t_test_p_value(value, error, interval.df) if members[0].tested else None,
        "between_sd": None,
        "between_low": None,
        "between_high": None,
        "heterogeneity": f"cannot tell: 2 studies ({_deviation(members[0], abs(values[1] - values[0]))} between them)",
        "method": "fixed effect of the study, weights by precision; expanded percentile bootstrap",
    }
    return columns, weights


def _deviation(member: Member, value: float, unit: str = " points") -> str:
    """Format a difference between studies: in points; as it is for ratings, and for ratios, which have no bound."""
    shown = np.isfinite(member.bounds).all() and member.row["metric"] not in RANGES
    return f"{POINTS * value:.1f}{unit}" if shown else f"{value:.2f}"


def _note(members: Sequence[Member]) -> str:
    notes = []
    if any("one seed" in one.row["note"] for one in members):
        notes.append(
            "one seed: run-to-run noise is not in the interval"
            if len(members) < MIN_RANDOM
            else "one seed in a study: its run-to-run noise is part of the deviation between studies"
        )
    if len({one.group for one in members}) < len(members):
        notes.append("studies with the same test items share their resamples")
    if (_shared(members) > 0).any():
        notes.append("studies have some test items in common, whose errors are taken as fully dependent")
    return "; ".join(notes)
