"""A number with everything that its interval and p-value need, and linear combinations of such numbers.

Differences and means of numbers are formed resample by resample, so whatever two numbers share (items, the control of a
contrast) cancels or adds up as it should, and no formula for covariances is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from crosslift.transfer import resample
from crosslift.transfer.conditions import Resampled

Key = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Number:
    draws: np.ndarray
    """(1 + resamples,): observed, then under resampled items."""
    deviations: dict[Key, np.ndarray]
    """Per condition with two seeds or more, (seeds,): the number under one run, minus the number."""
    interactions: dict[Key, float]
    """Per such condition: variance of the number that is item x run noise, see `resample.Seeds`."""
    contributions: np.ndarray | None
    """(clusters,): sums to the observed number; None for numbers that are not linear in the scores."""
    single: frozenset[Key] = field(default_factory=frozenset)
    """Trained conditions with one seed: their run-to-run noise is not in the interval."""

    @property
    def value(self) -> float:
        return float(self.draws[0])

    def interval(self, resampled: Resampled, *, num_clusters: int, level: float) -> resample.Interval:
        seeds = [
            resample.Seeds(
                deviations=self.deviations[key],
                interaction=self.interactions[key],
                weights=resampled.seed_weights[key],
            )
            for key in sorted(self.deviations)
        ]
        return resample.interval(self.draws, seeds, num_clusters=num_clusters, level=level)


def number(resampled: Resampled, key: Key, function: Callable[[np.ndarray], np.ndarray], *, linear: bool) -> Number:
    """The number that `function` makes of one condition's means, shape (languages, columns) -> (columns,)."""
    draws = function(resampled.condition_means(key))
    deviations: dict[Key, np.ndarray] = {}
    interactions: dict[Key, float] = {}
    if key in resampled.run_means:
        runs = np.stack([function(means) for means in resampled.run_means[key]])  # (seeds, 1 + some resamples)
        spread = runs - draws[: runs.shape[1]]
        deviations[key] = spread[:, 0] - spread[:, 0].mean()
        interactions[key] = float(spread[:, 1:].var(axis=1).mean()) / (len(runs) - 1)
    trained_once = key not in resampled.run_means and key[1] != "base"
    return Number(
        draws=draws,
        deviations=deviations,
        interactions=interactions,
        contributions=function(resampled.contributions(key)) if linear else None,
        single=frozenset([key] if trained_once else []),
    )


def combine(terms: Iterable[tuple[float, Number]]) -> Number:
    """sum_i weight_i number_i.

    Item x run noise of a condition that occurs in several terms adds up as if it were the same in each, which is so for
    a control and otherwise errs on the wide side.
    """
    draws: np.ndarray | float = 0.0
    contributions: np.ndarray | float | None = 0.0
    deviations: dict[Key, np.ndarray] = {}
    roots: dict[Key, float] = {}
    single: frozenset[Key] = frozenset()
    for weight, term in terms:
        draws = draws + weight * term.draws
        single |= term.single
        if contributions is not None:
            contributions = None if term.contributions is None else contributions + weight * term.contributions
        for key, values in term.deviations.items():
            deviations[key] = deviations.get(key, np.zeros_like(values)) + weight * values
            roots[key] = roots.get(key, 0.0) + abs(weight) * term.interactions[key] ** 0.5
    return Number(
        draws=np.asarray(draws),
        deviations=deviations,
        interactions={key: root**2 for key, root in roots.items()},
        contributions=None if contributions is None else np.asarray(contributions),
        single=single,
    )
