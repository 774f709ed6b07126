"""Candidate mixtures of several searches, drawn together, so that their differences are those of one posterior."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from crosslift.recommendation.feasibility import keeps_floors, margins_of, widest_margin
from crosslift.recommendation.joint import AnyModel
from crosslift.recommendation.objective import AnyObjective, Budget
from crosslift.streams import stream
from crosslift.transfer.model.observations import Amounts, content_key

NUM_DRAWS = 2000
"""Posterior draws."""
NONE_ALLOWED = "no mixture keeps all constraints"
CANNOT_TELL = "cannot tell: all intervals are too wide"


class Choice(NamedTuple):
    """A chosen mixture."""

    place: int | None
    reason: str
    """Why none is chosen; "" if one is."""


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Mixtures with joint posterior draws of their scores."""

    mixtures: tuple[dict[str, float], ...]
    draws: np.ndarray
    """Scores, shape (draws, mixtures, languages of the objective)."""
    widest: float
    """Largest margin with which a candidate is chosen, in the unit of the scores."""

    def best(
        self, objective: AnyObjective, budget: Budget, *, also: Callable[[Amounts], bool] = lambda amounts: True
    ) -> Choice:
        """The mixture with the highest expected objective among those that may be chosen.

        Args:
            objective: what is maximised, over the languages of the draws.
            budget: constraints of a mixture.
            also: a further constraint.
        """
        allowed = np.array([budget.allows(one) and also(one) for one in self.mixtures])
        values = objective.value(self.draws)
        allowed &= keeps_floors(objective, self.draws)
        if not allowed.any():
            return Choice(None, NONE_ALLOWED)
        allowed &= margins_of(values) <= self.widest
        if not allowed.any():
            return Choice(None, CANNOT_TELL)
        return Choice(int(np.where(allowed, values.mean(axis=0), -np.inf).argmax()), "")


def drawn_together(
    fitted: AnyModel, model: str, objective: AnyObjective, mixtures: Sequence[Amounts], *, seed: int = 0
) -> Candidates:
    """Draw the scores of mixtures jointly; equal mixtures are drawn once, the first one has place 0.

    Args:
        fitted: the transfer model.
        model: name of the model to train.
        objective: whose languages are drawn.
        mixtures: amounts per language.
        seed: of the draws.
    """
    unique = tuple({content_key(one): dict(one) for one in mixtures}.values())
    draws = fitted.draw(unique, model, objective.languages, NUM_DRAWS, stream(seed, "recommend", "explanation"))
    return Candidates(mixtures=unique, draws=draws, widest=widest_margin(fitted.observed, model, objective))
