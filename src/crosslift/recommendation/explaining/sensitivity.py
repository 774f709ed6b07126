"""What would change a recommendation: each constraint loosened and tightened, one at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from crosslift.recommendation.explaining.candidates import Candidates
from crosslift.recommendation.explaining.contributions import Effect, effect_of
from crosslift.recommendation.feasibility import floor_name
from crosslift.recommendation.joint import AnyModel
from crosslift.recommendation.objective import AnyObjective, Budget, JointObjective, cell_label
from crosslift.recommendation.search import difference, search_mixtures
from crosslift.transfer.model.observations import Amounts

ConstraintKind = Literal["budget", "minimum score", "cost", "language"]
FACTORS = {"half": 0.5, "twice": 2.0}
"""Factors of the budget and of each cost."""
FLOOR_STEP = 0.05
"""By how much a minimum score is lowered and raised: five points."""
INCLUDED_SHARES = (0.1, 0.2, 0.3)
"""Shares of the amounts that a language which the mixture lacks is given at least, in turn."""
NUM_KEPT = 5
"""Mixtures that are kept of the search under each changed constraint."""
ROUNDS = 1
"""Rounds of exchanges of these searches."""


@dataclass(frozen=True, kw_only=True)
class Variation:
    """A changed constraint."""

    kind: ConstraintKind
    constraint: str
    """Name of the constraint: "budget", "cost of sw", a language, or the name of a language with a minimum score."""
    change: str
    """How it is changed: "half", "twice", "left out", "at least a tenth", "no minimum", "at least 0.55"."""
    objective: AnyObjective
    budget: Budget
    included: str = ""
    """Language that must be in the mixture with at least the first of INCLUDED_SHARES."""

    def allows(self, amounts: Amounts) -> bool:
        """Whether a mixture has what must be included; the budget is checked apart from it."""
        share = amounts.get(self.included, 0.0) / max(sum(amounts.values()), 1e-12)
        return not self.included or share >= INCLUDED_SHARES[0] * 0.9


@dataclass(frozen=True, kw_only=True)
class Change:
    """What would be recommended if one constraint were different."""

    kind: ConstraintKind
    constraint: str
    change: str
    amounts: dict[str, float] | None
    """The mixture; None if none would be recommended."""
    reason: str
    """Why none would be; "" if one would."""
    effect: Effect | None
    """Objective of that mixture minus that of the recommended one."""
    exchanged: float
    """Share of the larger mixture that would be exchanged."""
    cost: float
    """Cost of that mixture, at the changed costs."""


def variations(objective: AnyObjective, budget: Budget, amounts: Amounts) -> Iterator[Variation]:
    """All changed constraints, one at a time.

    Args:
        objective: what is maximised, with the minimum scores.
        budget: constraints of a mixture.
        amounts: the recommended mixture.
    """
    here = Variation(kind="budget", constraint="budget", change="", objective=objective, budget=budget)
    if budget.amount > 0:
        for change, factor in FACTORS.items():
            yield replace(here, change=change, budget=replace(budget, amount=factor * budget.amount))
    yield from _floor_variations(here)
    for tag in budget.languages:
        if budget.existing.get(tag, 0.0) < budget.available.get(tag, math.inf):
            asked = replace(here, kind="cost", constraint=f"cost of {tag}")
            for change, factor in FACTORS.items():
                costs = {**budget.costs, tag: factor * budget.costs.get(tag, 1.0)}
                yield replace(asked, change=change, budget=replace(budget, costs=costs))
    for tag in budget.languages:
        asked = replace(here, kind="language", constraint=tag)
        others = tuple(one for one in budget.languages if one != tag)
        if amounts.get(tag, 0.0) <= 0:
            yield replace(asked, change="at least a tenth", included=tag)
        elif others:
            yield replace(asked, change="left out", budget=replace(budget, languages=others))


def _floor_variations(here: Variation) -> Iterator[Variation]:
    """Each minimum score lowered, raised and left out."""
    for label, floor in zip(here.objective.languages, here.objective.floors.tolist(), strict=True):
        if floor > 0:
            asked = replace(here, kind="minimum score", constraint=floor_name(label))
            yield replace(asked, change="no minimum", objective=with_floor(here.objective, label, None))
            for minimum in (floor - FLOOR_STEP, floor + FLOOR_STEP):
                if 0 < minimum <= 1:
                    changed = with_floor(here.objective, label, minimum)
                    yield replace(asked, change=f"at least {minimum:.2f}", objective=changed)


def with_floor(objective: AnyObjective, label: str, minimum: float | None) -> AnyObjective:
    """The objective with another minimum score of a language; None: without one."""
    if isinstance(objective, JointObjective):
        parts = {}
        for name, part in objective.parts.items():
            floors = {tag: one for tag, one in part.at_least.items() if cell_label(name, tag) != label}
            floors |= {tag: minimum for tag in part.languages if minimum is not None and cell_label(name, tag) == label}
            parts[name] = replace(part, at_least=floors)
        return replace(objective, parts=parts)
    floors = {tag: one for tag, one in objective.at_least.items() if tag != label}
    return replace(objective, at_least=floors | ({} if minimum is None else {label: minimum}))


def searched(fitted: AnyModel, model: str, asked: Variation, amounts: Amounts, *, seed: int = 0) -> list[Amounts]:
    """Leading mixtures under a changed constraint.

    Args:
        fitted: the transfer model.
        model: name of the model to train.
        asked: the changed constraint.
        amounts: the recommended mixture.
        seed: of the search.
    """
    if asked.included:
        return [
            found
            for share in INCLUDED_SHARES
            if (found := asked.budget.allocate(_with_share(amounts, asked.included, share, asked.budget.costs)))
        ]
    return list(search_mixtures(fitted, model, asked.objective, asked.budget, seed=seed, rounds=ROUNDS)[:NUM_KEPT])


def _with_share(amounts: Amounts, language: str, share: float, costs: Mapping[str, float]) -> dict[str, float]:
    """Shares of the budget with which a language has a share of the amounts, and the others keep their proportions."""
    total = sum(amounts.values())
    wanted = {tag: amount * (1 - share) for tag, amount in amounts.items()} | {language: share * total}
    return {tag: amount * costs.get(tag, 1.0) for tag, amount in wanted.items()}


def change_of(asked: Variation, candidates: Candidates, objective: AnyObjective) -> Change:
    """What would be recommended under a changed constraint.

    Args:
        asked: the changed constraint.
        candidates: mixtures drawn together; the first is the recommended one.
        objective: what is maximised, by which both mixtures are compared.
    """
    place, reason = candidates.best(asked.objective, asked.budget, also=asked.allows)
    values = objective.value(candidates.draws[:, [0, place or 0]])
    chosen = None if place is None else candidates.mixtures[place]
    return Change(
        kind=asked.kind,
        constraint=asked.constraint,
        change=asked.change,
        amounts=chosen,
        reason=reason,
        effect=None if chosen is None else effect_of(values[:, 1] - values[:, 0]),
        exchanged=0.0 if chosen is None else difference(candidates.mixtures[0], chosen),
        cost=0.0 if chosen is None else asked.budget.cost_of(chosen),
    )
