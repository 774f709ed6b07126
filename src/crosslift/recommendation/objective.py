"""The optimisation problem: the objective to maximise, and the budget that constrains a mixture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from crosslift.transfer.model.observations import Amounts

CONFIDENCE = 0.95
"""Posterior probability with which a mixture must satisfy the lower bound of the English score."""


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
        weights = [self.weights.get(tag, 0.0) if self.kind == "weighted" else 1.0 for tag in self.languages]
        return np.asarray(weights) / sum(weights)


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
    """Language -> largest available amount; unlimited by default."""

    def cost_of(self, amounts: Amounts) -> float:
        """Total cost of a mixture."""
        return sum(amount * self.costs.get(tag, 1.0) for tag, amount in amounts.items())

    def allows(self, amounts: Amounts) -> bool:
        """Whether a mixture satisfies the budget and the constraints."""
        within = all(
            amount <= self.available.get(tag, np.inf) * (1 + 1e-9) for tag, amount in amounts.items() if amount > 0
        )
        known = {tag for tag, amount in amounts.items() if amount > 0} <= set(self.languages)
        return within and known and self.cost_of(amounts) <= self.amount * (1 + 1e-9)

    def allocate(self, shares: Mapping[str, float]) -> dict[str, float]:
        """Amounts that spend the whole budget in given shares; an amount that exceeds what is available is cut and not
        reallocated.

        Args:
            shares: language -> share of the budget, in any unit.
        """
        total = sum(shares.values())
        return {
            tag: min(share / total * self.amount / self.costs.get(tag, 1.0), self.available.get(tag, np.inf))
            for tag, share in shares.items()
            if share > 0
        }
