"""Trade-offs: mixtures that no other mixture exceeds in both of two objectives (the Pareto front)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from crosslift.recommendation.explaining.candidates import Candidates
from crosslift.recommendation.explaining.contributions import Effect, effect_of
from crosslift.recommendation.feasibility import keeps_floors, margins_of
from crosslift.recommendation.objective import AnyObjective, Budget, JointObjective, Objective
from crosslift.transfer.estimates.language_groups import ENGLISH

WEIGHTS = (1.0, 0.75, 0.5, 0.25, 0.0)
"""Weights of the first objective with which mixtures are searched for."""


@dataclass(frozen=True, kw_only=True)
class Axes:
    """Two objectives over the same cells."""

    names: tuple[str, str]
    objectives: tuple[AnyObjective, AnyObjective]


@dataclass(frozen=True, kw_only=True)
class Point:
    """A mixture with both objectives, in the unit of the scores."""

    amounts: dict[str, float]
    first: Effect
    second: Effect
    on_front: bool
    """Whether no other mixture is expected to be better in one objective and at least as good in the other."""
    recommended: bool


@dataclass(frozen=True, kw_only=True)
class Front:
    """Candidate mixtures by two objectives."""

    names: tuple[str, str]
    """Names of the objectives."""
    points: tuple[Point, ...]


def axes_of(objective: AnyObjective) -> Axes | None:
    """The two evaluations with the largest weights; with one evaluation, English and the mean of the other languages.

    None if there is only one of them.
    """
    if isinstance(objective, JointObjective):
        first, second = sorted(objective.parts, key=lambda name: -objective.part_weights[name])[:2]
        return Axes(names=(first, second), objectives=(_between(objective, first), _between(objective, second)))
    others = tuple(tag for tag in objective.languages if tag != ENGLISH)
    if len(others) in (0, len(objective.languages)):
        return None
    return Axes(
        names=("English", "mean of the other languages"),
        objectives=(_weighted(objective, {ENGLISH: 1.0}), _weighted(objective, dict.fromkeys(others, 1.0))),
    )


def scalarised(objective: AnyObjective, axes: Axes) -> Iterator[AnyObjective]:
    """Objectives between the two axes, with the minimum scores of the question."""
    for weight in WEIGHTS:
        if isinstance(objective, JointObjective):
            yield _between(objective, axes.names[0], axes.names[1], weight)
        else:
            others = {tag: (1 - weight) / (len(objective.languages) - 1) for tag in objective.languages}
            yield _weighted(objective, others | {ENGLISH: weight})


def _between(objective: JointObjective, first: str, second: str = "", weight: float = 1.0) -> JointObjective:
    weights = {name: weight * (name == first) + (1 - weight) * (name == second) for name in objective.parts}
    return replace(objective, part_weights=weights)


def _weighted(objective: Objective, weights: dict[str, float]) -> Objective:
    return replace(objective, kind="weighted", weights=weights)


def front_of(axes: Axes, candidates: Candidates, objective: AnyObjective, budget: Budget) -> Front:
    """Both objectives of the candidates that satisfy all constraints.

    Args:
        axes: the two objectives.
        candidates: mixtures drawn together; the first is the recommended one.
        objective: with the minimum scores.
        budget: constraints of a mixture.
    """
    allowed = np.array([budget.allows(one) for one in candidates.mixtures])
    allowed &= keeps_floors(objective, candidates.draws)
    values = [one.value(candidates.draws) for one in axes.objectives]
    allowed &= np.all([margins_of(one) <= candidates.widest for one in values], axis=0)
    allowed[0] = True
    places = np.flatnonzero(allowed)
    means = np.stack([one.mean(axis=0)[places] for one in values], axis=1)
    points = [
        Point(
            amounts=candidates.mixtures[place],
            first=effect_of(values[0][:, place]),
            second=effect_of(values[1][:, place]),
            on_front=not ((means >= mean).all(axis=1) & (means > mean).any(axis=1)).any(),
            recommended=place == 0,
        )
        for place, mean in zip(places.tolist(), means, strict=True)
    ]
    return Front(names=axes.names, points=tuple(sorted(points, key=lambda one: -one.first.value)))
