"""For a language that no run has trained on or measured: the cheapest pilot that would tell of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from crosslift.recommendation.acquisition import beliefs
from crosslift.recommendation.joint import AnyModel
from crosslift.recommendation.objective import AnyObjective, Budget, JointObjective, Objective
from crosslift.recommendation.search import EQUIVALENCE_MARGIN
from crosslift.transfer.model.observations import Amounts

SHARE = 0.25
"""Share of the mixture of the pilot that is in the language."""
MIN_RUNS, MAX_RUNS = 4, 12
"""Smallest and largest number of runs of a pilot: two mixtures, each twice, and three times as many."""
QUANTILE = 1.96
"""Of a 95 % interval."""


@dataclass(frozen=True, kw_only=True)
class Pilot:
    """Runs that would tell of a language, evaluated in that language too."""

    language: str
    num_runs: int
    """Smallest number of runs after which the difference of the two mixtures is known to EQUIVALENCE_MARGIN, at most
    MAX_RUNS."""
    amounts: dict[str, float]
    """Mixture with the language."""
    reference: dict[str, float]
    """The same mixture without the language."""
    margin: float
    """Half of the 95 % interval of their difference in the mean score after these runs, in the unit of the scores."""
    margin_before: float
    """The same before any of these runs."""

    @property
    def tells(self) -> bool:
        """Whether the difference will be known to EQUIVALENCE_MARGIN."""
        return self.margin <= EQUIVALENCE_MARGIN


def pilot_for(
    fitted: AnyModel,
    model: str,
    objective: AnyObjective,
    budget: Budget,
    language: str,
    *,
    base: Amounts | None,
) -> Pilot:
    """The cheapest pilot: the fewest runs of a mixture with a quarter in the language, and of the same without it.

    The expected interval comes from the transfer model with its noise of runs and items, by the variance that each
    further run leaves of the difference, in the mean score over the evaluated languages and this one.

    Args:
        fitted: the transfer model.
        model: name of the model to train.
        objective: whose languages are evaluated.
        budget: constraints of a mixture, from which the language is missing.
        language: tag of the language.
        base: the recommended mixture; None: equal amounts of the allowed languages.
    """
    reference = dict(base or budget.allocate({tag: budget.costs.get(tag, 1.0) for tag in budget.languages}))
    total = math.floor(sum(reference.values()))
    amounts = {tag: float(math.floor(amount * (1 - SHARE))) for tag, amount in reference.items()}
    amounts = {tag: amount for tag, amount in amounts.items() if amount} | {language: float(round(SHARE * total))}
    wider = _also_in(objective, language)
    _, joint, noise = beliefs(fitted, model, wider, [amounts, reference], [])
    contrast = np.array([1.0, -1.0])
    margins = [QUANTILE * math.sqrt(max(float(contrast @ joint @ contrast), 0.0))]
    for _ in range(MAX_RUNS):
        left = [joint - np.outer(joint[:, run], joint[:, run]) / (joint[run, run] + noise[run]) for run in range(2)]
        joint = min(left, key=lambda one: float(contrast @ one @ contrast))
        margins.append(QUANTILE * math.sqrt(max(float(contrast @ joint @ contrast), 0.0)))
    enough = [num for num, margin in enumerate(margins) if num >= MIN_RUNS and margin <= EQUIVALENCE_MARGIN]
    num_runs = min(enough, default=MAX_RUNS)
    return Pilot(
        language=language,
        num_runs=num_runs,
        amounts=amounts,
        reference=reference,
        margin=margins[num_runs],
        margin_before=margins[0],
    )


def _also_in(objective: AnyObjective, language: str) -> AnyObjective:
    """The mean over the languages of an objective and one more."""
    if isinstance(objective, JointObjective):
        return replace(objective, parts={name: _in(part, language) for name, part in objective.parts.items()})
    return _in(objective, language)


def _in(objective: Objective, language: str) -> Objective:
    return Objective(languages=(*objective.languages, *([language] if language not in objective.languages else [])))
