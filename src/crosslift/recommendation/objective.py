"""The optimisation problem: the objective to maximise, and the budget that constrains a mixture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from crosslift.transfer.model.observations import Amounts

CONFIDENCE = 0.95
"""Posterior probability with which a mixture must satisfy the lower bound of the English score."""
TOLERANCE = 1e-9
"""Relative tolerance of limits."""


@dataclass(frozen=True, kw_only=True)
class Objective:
    """The objective to maximise, a function of the scores per evaluation language."""

    languages: tuple[str, ...]
    """Tags of the evaluation languages."""
    kind: Literal["mean", "worst", "weighted"] = "mean"
    """"mean" over the languages, "worst" (minimum over the languages), or "weighted" mean."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Weights of the objective "weighted", e.g. users per language, in any unit; missing languages have weight 0."""
    english_at_least: float | None = None
    """A mixture is feasible if the English score is at least this high with probability CONFIDENCE."""

    def value(self, scores: np.ndarray) -> np.ndarray:
        """The objective.

        Args:
            scores: shape (..., languages).

        Returns:
            Shape (...), in the unit of the scores.
        """
        if self.kind == "worst":
            return np.asarray(scores.min(axis=-1))
        return np.asarray(scores @ self.language_weights(np.zeros(len(self.languages))))

    def language_weights(self, means: np.ndarray) -> np.ndarray:
        """Weights of the languages, shape (languages,). For "worst": 1 for the language with the lowest mean, else 0.

        Args:
            means: mean scores, shape (languages,).
        """
        if self.kind == "worst":
            return np.asarray(np.arange(len(self.languages)) == int(means.argmin()), dtype=float)
        weights = np.array(
            [self.weights.get(tag, 0.0) if self.kind == "weighted" else 1.0 for tag in self.languages], dtype=float
        )
        weights = weights / weights.max()  # the sum of very large weights would be infinite
        return np.asarray(weights / weights.sum())


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Items that several languages share, because every item may be in one of them only."""

    per_unit: Mapping[str, float]
    """Language -> items of the pool that one unit of its amount takes."""
    num_items: float
    """Items of the pool."""

    def use(self, amounts: Amounts) -> float:
        """Share of the pool that a mixture takes."""
        return sum(amount * self.per_unit.get(tag, 0.0) for tag, amount in amounts.items()) / max(self.num_items, 1e-9)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The budget and the constraints of a mixture."""

    amount: float
    """Total cost that may be spent."""
    languages: tuple[str, ...]
    """Tags of the languages that a mixture may contain."""
    costs: Mapping[str, float] = field(default_factory=dict)
    """Language -> cost of one unit; 1 by default."""
    available: Mapping[str, float] = field(default_factory=dict)
    """Language -> largest amount; unlimited by default."""
    total: float = math.inf
    """Largest total amount."""
    pools: Sequence[Pool] = ()
    """Items that the languages share."""
    least: Mapping[str, float] = field(default_factory=dict)
    """Language -> smallest amount that is at least one item; 1 by default."""

    def cost_of(self, amounts: Amounts) -> float:
        """Total cost of a mixture."""
        return sum(amount * self.costs.get(tag, 1.0) for tag, amount in amounts.items())

    def allows(self, amounts: Amounts) -> bool:
        """Whether a mixture satisfies the budget and the constraints."""
        used = {tag: amount for tag, amount in amounts.items() if amount > 0}
        return (
            bool(used)
            and used.keys() <= set(self.languages)
            and all(
                self.least.get(tag, 0.0) <= amount <= self.available.get(tag, math.inf) * (1 + TOLERANCE)
                for tag, amount in used.items()
            )
            and sum(used.values()) <= self.total * (1 + TOLERANCE)
            and all(pool.use(used) <= 1 + TOLERANCE for pool in self.pools)
            and self.cost_of(used) <= self.amount * (1 + TOLERANCE)
        )

    def allocate(self, shares: Mapping[str, float]) -> dict[str, float]:
        """Whole amounts that spend the budget in given shares, as far as the constraints allow.

        What a language cannot take goes to the others in proportion to their shares; a language that gets less than one
        item is left out. The result can spend less than the budget, and can be empty.

        Args:
            shares: language -> share of the budget, in any unit.
        """
        rates = {tag: share / self.costs.get(tag, 1.0) for tag, share in shares.items() if share > 0}
        constraints = [(self.costs, 1.0, self.amount), ({}, 1.0, self.total)]
        constraints += [(pool.per_unit, 0.0, float(pool.num_items)) for pool in self.pools]
        scale = min(self._largest_scale(rates, *constraint) for constraint in constraints)
        limits = {tag: self.available.get(tag, math.inf) for tag in rates}
        return self._whole({tag: min(rate * scale, limits[tag]) for tag, rate in rates.items()})

    def _largest_scale(
        self, rates: Mapping[str, float], weights: Mapping[str, float], other: float, most: float
    ) -> float:
        """Largest t with sum of weight * min(rate * t, available) <= most; `other` is the weight of missing languages.

        The sum is linear between the values of t at which a language reaches its limit.
        """
        if math.isinf(most):
            return math.inf
        full = {tag: self.available.get(tag, math.inf) / rate if rate else math.inf for tag, rate in rates.items()}
        weight = {tag: weights.get(tag, other) for tag in rates}
        used = 0.0
        rising = sorted(rates, key=lambda tag: full[tag])
        for place, tag in enumerate(rising):
            slope = sum(weight[one] * rates[one] for one in rising[place:])
            if slope * full[tag] > most - used:
                return (most - used) / slope
            used += weight[tag] * self.available.get(tag, math.inf)
        return math.inf

    def _whole(self, exact: dict[str, float]) -> dict[str, float]:
        """Round amounts to whole units by largest remainder, within the constraints."""
        if any(math.isinf(amount) for amount in exact.values()):
            return {}
        found = {tag: float(math.floor(amount + 1e-6)) for tag, amount in exact.items()}
        for tag in sorted(exact, key=lambda tag: (found[tag] - exact[tag], tag)):
            more = found | {tag: found[tag] + 1}
            if exact[tag] - found[tag] > 1e-6 and self.allows({one: amount for one, amount in more.items() if amount}):
                found = more
        return {tag: amount for tag, amount in found.items() if amount >= max(self.least.get(tag, 1.0), 1.0)}
