"""Which languages of a mixture raise which scores, and through what, in the terms of the transfer model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from crosslift.recommendation.joint import AnyModel, JointModel
from crosslift.recommendation.objective import AnyObjective, cell_label
from crosslift.streams import stream
from crosslift.transfer.model.observations import Amounts

NUM_DRAWS = 2000
"""Posterior draws."""


@dataclass(frozen=True, kw_only=True)
class Effect:
    """Posterior mean of a difference, and its 95 % credible limits, in the unit of the scores."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Contribution:
    """What the data of one training language contribute: scores of the mixture minus those of the mixture without them.

    Without them means that nothing takes their place.
    """

    language: str
    amount: float
    objective: Effect
    """Difference of the objective."""
    by_language: Mapping[str, Effect]
    """Evaluation language, with its evaluation if there are several -> difference of its score."""
    by_term: Mapping[str, float]
    """Term of the transfer model -> its part of the expected difference of the objective, to first order."""


def contributions(
    fitted: AnyModel, model: str, objective: AnyObjective, amounts: Amounts, *, seed: int = 0
) -> tuple[Contribution, ...]:
    """What each language of a mixture contributes, by decreasing contribution to the objective.

    Args:
        fitted: the transfer model.
        model: name of the model to train.
        objective: what is maximised.
        amounts: the mixture.
        seed: of the posterior draws.
    """
    held = {tag: amount for tag, amount in amounts.items() if amount > 0}
    mixtures = [held, *({tag: amount for tag, amount in held.items() if tag != left} for left in held)]
    draws = fitted.draw(mixtures, model, objective.languages, NUM_DRAWS, stream(seed, "recommend", "contributions"))
    values = objective.value(draws)
    weights = objective.language_weights(draws[:, 0].mean(axis=0))
    found = [
        Contribution(
            language=tag,
            amount=amount,
            objective=effect_of(values[:, 0] - values[:, place]),
            by_language={
                label: effect_of(draws[:, 0, column] - draws[:, place, column])
                for column, label in enumerate(objective.languages)
            },
            by_term={
                name: float(weights @ part)
                for name, part in _by_term(fitted, held, mixtures[place], model, objective.languages).items()
            },
        )
        for place, (tag, amount) in enumerate(held.items(), start=1)
    ]
    return tuple(sorted(found, key=lambda one: -one.objective.value))


def effect_of(draws: np.ndarray) -> Effect:
    """Mean and 95 % limits of the draws of a difference, shape (draws,)."""
    low, high = np.quantile(draws, [0.025, 0.975])
    return Effect(value=float(draws.mean()), low=float(low), high=float(high))


def _by_term(
    fitted: AnyModel, mixture: Amounts, other: Amounts, model: str, labels: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """`TransferModel.difference_by_term`, also for several evaluations."""
    if not isinstance(fitted, JointModel):
        return fitted.difference_by_term(mixture, other, model, labels)
    found: dict[str, np.ndarray] = {}
    for evaluation, part in fitted.parts.items():
        tags = [label.rpartition(":")[2] for label in labels if label.rpartition(":")[0] == evaluation]
        places = [labels.index(cell_label(evaluation, tag)) for tag in tags]
        for name, values in part.difference_by_term(mixture, other, model, tags).items():
            found.setdefault(name, np.zeros(len(labels)))[places] = values
    return found
