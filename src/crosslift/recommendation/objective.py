"""What is asked for: the objective that is maximised, and the budget that limits a mixture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from crosslift.transfer.model.observations import Amounts

CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What is to be high."""

    languages: tuple[str, ...]
    """Evaluated."""
    kind: Literal["mean", "worst", "weighted"] = "mean"
    weights: Mapping[str, float] = field(default_factory=dict)
    """Of "weighted": users per language, in any unit; languages that it lacks count nothing."""
    english_at_least: float | None = None
    """A mixture is allowed if English stays above with probability SURE."""

    def value(self, scores: np.ndarray) -> np.ndarray:
        """(..., languages) -> (...)."""
        if self.kind == "worst":
            return np.asarray(scores.min(axis=-1))
        return np.asarray(scores @ self.language_weights(np.zeros(len(self.languages))))

    def language_weights(self, means: np.ndarray) -> np.ndarray:
        """Weights of the languages: of "worst" those at the means, all on the lowest."""
        if self.kind == "worst":
            return np.asarray(np.arange(len(self.languages)) == int(means.argmin()), dtype=float)
        weights = [self.weights.get(tag, 0.0) if self.kind == "weighted" else 1.0 for tag in self.languages]
        return np.asarray(weights) / sum(weights)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What may be spent. One unit of a language costs `costs` of it, 1 where nothing is said."""

    amount: float
    languages: tuple[str, ...]
    """Allowed to train on."""
    costs: Mapping[str, float] = field(default_factory=dict)
    available: Mapping[str, float] = field(default_factory=dict)
    """As much as there is of a language."""

    def cost_of(self, amounts: Amounts) -> float:
        return sum(amount * self.costs.get(tag, 1.0) for tag, amount in amounts.items())

    def allows(self, amounts: Amounts) -> bool:
        within = all(
            amount <= self.available.get(tag, np.inf) * (1 + 1e-9) for tag, amount in amounts.items() if amount > 0
        )
        known = {tag for tag, amount in amounts.items() if amount > 0} <= set(self.languages)
        return within and known and self.cost_of(amounts) <= self.amount * (1 + 1e-9)

    def allocate(self, shares: Mapping[str, float]) -> dict[str, float]:
        """Amounts that spend the whole budget in these shares; what a language has no more of is left unspent."""
        total = sum(shares.values())
        return {
            tag: min(share / total * self.amount / self.costs.get(tag, 1.0), self.available.get(tag, np.inf))
            for tag, share in shares.items()
            if share > 0
        }
