"""Resampled statistics, and linear combinations and ratios of them.

Combinations are formed resample by resample. The correlation of two statistics through shared items or a shared control
is therefore in the combined distribution, and no covariance formula is needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from crosslift.transfer.estimates import resampling as resample
from crosslift.transfer.estimates.conditions import ResampledPanel

ConditionKey = tuple[str, str]
"""(model, mixture)."""


@dataclass(frozen=True, kw_only=True)
class ResampledStatistic:
    """A statistic with its bootstrap distribution. Statistics that are combined must be of one model, because
    run-to-run noise is pooled over its conditions."""

    draws: np.ndarray
    """Shape (1 + resamples,): the observed value, then the value under each resample of items."""
    contributions: np.ndarray | None
    """Contributions of the clusters to the observed value, shape (clusters,); None for statistics that are not linear
    in the scores."""
    observed_run_sd: dict[ConditionKey, float] = field(default_factory=dict)
    """Per condition with at least two seeds: standard deviation of the statistic due to observed run-to-run noise of
    the condition's mean, item x run noise included."""
    component_run_sd: dict[ConditionKey, float] = field(default_factory=dict)
    """The same without item x run noise."""
    df_runs: int = 0
    """Degrees of freedom of the run-to-run variance."""
    single_seed_conditions: frozenset[ConditionKey] = field(default_factory=frozenset)
    """Trained conditions with one seed, whose run-to-run noise the interval does not include."""

    @property
    def value(self) -> float:
        """The observed value."""
        return float(self.draws[0])

    def interval(self, resampled: ResampledPanel, *, num_clusters: int, level: float) -> resample.Interval:
        """Expanded percentile interval, see `resampling.expanded_percentile_interval`.

        Args:
            resampled: the panel that the statistic was computed from.
            num_clusters: clusters with items in the statistic's languages.
            level: coverage, e.g. 0.95.
        """
        run_noise = [
            resample.RunNoiseDraws(
                observed_sd=self.observed_run_sd[key],
                component_sd=self.component_run_sd[key],
                standard_normals=resampled.standard_normals[key],
            )
            for key in sorted(self.observed_run_sd)
        ]
        return resample.expanded_percentile_interval(
            self.draws, run_noise, df_runs=self.df_runs, num_clusters=num_clusters, level=level
        )


def resampled_statistic(
    resampled: ResampledPanel, key: ConditionKey, function: Callable[[np.ndarray], np.ndarray], *, linear: bool
) -> ResampledStatistic:
    """Apply a statistic to the observed and resampled means of one condition.

    Args:
        resampled: the panel.
        key: the condition.
        function: the statistic, from means of shape (languages, columns) to shape (columns,).
        linear: whether the statistic is linear in the means.
    """
    draws = function(resampled.condition_means(key))
    contributions = function(resampled.contributions(key)) if linear else None
    num_seeds = len(resampled.run_positions[key])
    if num_seeds == 1:
        single = frozenset([key] if key[1] != "base" else [])
        return ResampledStatistic(draws=draws, contributions=contributions, single_seed_conditions=single)
    noise = resampled.run_noise(key[0], function)
    return ResampledStatistic(
        draws=draws,
        contributions=contributions,
        observed_run_sd={key: math.sqrt(noise.observed_variance / num_seeds)},
        component_run_sd={key: math.sqrt(noise.component_variance / num_seeds)},
        df_runs=noise.df,
    )


def linear_combination(terms: Iterable[tuple[float, ResampledStatistic]]) -> ResampledStatistic:
    """sum_i weight_i statistic_i. Run-to-run noise of a condition in several terms, e.g. a control, is the same in
    each."""
    draws: np.ndarray | float = 0.0
    contributions: np.ndarray | float | None = 0.0
    observed: dict[ConditionKey, float] = {}
    component: dict[ConditionKey, float] = {}
    single: frozenset[ConditionKey] = frozenset()
    df_runs = 0
    for weight, term in terms:
        draws = draws + weight * term.draws
        if contributions is not None:
            contributions = None if term.contributions is None else contributions + weight * term.contributions
        for total, part in ((observed, term.observed_run_sd), (component, term.component_run_sd)):
            for key, deviation in part.items():
                total[key] = total.get(key, 0.0) + weight * deviation
        single |= term.single_seed_conditions
        df_runs = max(df_runs, term.df_runs)
    return ResampledStatistic(
        draws=np.asarray(draws),
        contributions=None if contributions is None else np.asarray(contributions),
        observed_run_sd=observed,
        component_run_sd=component,
        df_runs=df_runs,
        single_seed_conditions=single,
    )


def difference(one: ResampledStatistic, other: ResampledStatistic) -> ResampledStatistic:
    """`one` minus `other`."""
    return linear_combination(((1.0, one), (-1.0, other)))


def ratio(one: ResampledStatistic, other: ResampledStatistic) -> ResampledStatistic:
    """`one` divided by `other`, resample by resample; NaN where `other` is 0.

    Run-to-run noise enters to first order (delta method).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        draws = np.where(other.draws != 0, one.draws / other.draws, np.nan)
    base = other.value or math.nan
    slopes = linear_combination(((1 / base, one), (-one.value / base**2, other)))
    return ResampledStatistic(
        draws=draws,
        contributions=None,
        observed_run_sd=slopes.observed_run_sd,
        component_run_sd=slopes.component_run_sd,
        df_runs=slopes.df_runs,
        single_seed_conditions=slopes.single_seed_conditions,
    )
