"""The optimisation problem: the objective to maximise, and the budget that constrains a mixture."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from crosslift.recommendation.question import ObjectiveKind
from crosslift.transfer.model.observations import Amounts

CONFIDENCE = 0.95
"""Posterior probability with which a mixture must keep all minimum scores."""
TOLERANCE = 1e-9
"""Relative tolerance of limits."""


@dataclass(frozen=True, kw_only=True)
class Objective:
    """The objective to maximise, a function of the scores per evaluation language."""

    languages: tuple[str, ...]
    """Tags of the evaluation languages."""
    kind: ObjectiveKind = "mean"
    """"mean" over the languages, "worst" (minimum over the languages), or "weighted" mean."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Weights of the objective "weighted", e.g. users per language, in any unit; missing languages have weight 0."""
    at_least: Mapping[str, float] = field(default_factory=dict)
    """Language -> minimum score. A mixture is feasible if all minima are kept with probability CONFIDENCE."""

    @property
    def floors(self) -> np.ndarray:
        """Minimum score per language, shape (languages,); minus infinity where there is none."""
        return np.array([self.at_least.get(tag, -math.inf) for tag in self.languages], dtype=float)

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
class JointObjective:
    """The weighted mean of the objectives of several evaluations; "languages" are their languages one after another."""

    parts: Mapping[str, Objective]
    """Evaluation -> its objective."""
    part_weights: Mapping[str, float]
    """Evaluation -> weight, in any unit."""

    @property
    def kind(self) -> ObjectiveKind:
        """Kind of the objective of each evaluation."""
        return next(iter(self.parts.values())).kind

    @property
    def languages(self) -> tuple[str, ...]:
        """Labels "evaluation:language"."""
        return tuple(cell_label(name, tag) for name, part in self.parts.items() for tag in part.languages)

    @property
    def floors(self) -> np.ndarray:
        """As in `Objective.floors`."""
        return np.concatenate([part.floors for part in self.parts.values()])

    def value(self, scores: np.ndarray) -> np.ndarray:
        """As in `Objective.value`."""
        found: Any = 0.0
        for part, share, place in self._shares():
            found = found + share * part.value(scores[..., place])
        return np.asarray(found)

    def language_weights(self, means: np.ndarray) -> np.ndarray:
        """As in `Objective.language_weights`."""
        return np.concatenate([share * part.language_weights(means[place]) for part, share, place in self._shares()])

    def _shares(self) -> Iterator[tuple[Objective, float, slice]]:
        """Each objective with its share of the weights and the places of its languages."""
        most = max(self.part_weights.values())
        weights = {name: self.part_weights[name] / most for name in self.parts}
        start = 0
        for name, part in self.parts.items():
            stop = start + len(part.languages)
            yield part, weights[name] / sum(weights.values()), slice(start, stop)
            start = stop


AnyObjective = Objective | JointObjective


def cell_label(evaluation: str, language: str) -> str:
    """Label of a language of one of several evaluations."""
    return f"{evaluation}:{language}"


def cell_of(label: str) -> tuple[str, str]:
    """Evaluation and language of a label; the evaluation is "" if the label is a language."""
    evaluation, _, language = label.rpartition(":")
    return evaluation, language


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
    existing: Mapping[str, float] = field(default_factory=dict)
    """Language -> amount that costs nothing; 0 by default."""
    fixed_costs: Mapping[str, float] = field(default_factory=dict)
    """Language -> cost of having more than what exists, however much; 0 by default."""
    available: Mapping[str, float] = field(default_factory=dict)
    """Language -> largest amount; unlimited by default."""
    total: float = math.inf
    """Largest total amount."""
    pools: Sequence[Pool] = ()
    """Items that the languages share."""
    least: Mapping[str, float] = field(default_factory=dict)
    """Language -> smallest amount that is at least one item; 1 by default."""

    def new(self, amounts: Amounts) -> dict[str, float]:
        """What a mixture contains beyond what exists, by language; languages without are missing."""
        found = {tag: amount - self.existing.get(tag, 0.0) for tag, amount in amounts.items()}
        return {tag: amount for tag, amount in found.items() if amount > 0}

    def costs_by_language(self, amounts: Amounts) -> dict[str, float]:
        """Cost of a mixture by language; languages that cost nothing are missing."""
        return {
            tag: amount * self.costs.get(tag, 1.0) + self.fixed_costs.get(tag, 0.0)
            for tag, amount in self.new(amounts).items()
        }

    def cost_of(self, amounts: Amounts) -> float:
        """Total cost of a mixture."""
        return sum(self.costs_by_language(amounts).values())

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
        limits = {tag: self.available.get(tag, math.inf) for tag in rates}
        scale, too_dear = self._affordable_scale(rates, limits)
        while too_dear is not None:  # its fixed cost is not left: what exists of it is used
            limits[too_dear] = min(limits[too_dear], self.existing.get(too_dear, 0.0))
            scale, too_dear = self._affordable_scale(rates, limits)
        constraints: list[tuple[Mapping[str, float], float]] = [(dict.fromkeys(rates, 1.0), self.total)]
        constraints += [(pool.per_unit, float(pool.num_items)) for pool in self.pools]
        scale = min(scale, *(_largest_scale(rates, limits, weights, most) for weights, most in constraints))
        return self._whole({tag: min(rate * scale, limits[tag]) for tag, rate in rates.items()})

    def _affordable_scale(self, rates: Amounts, limits: Amounts) -> tuple[float, str | None]:
        """Largest t for which the amounts min(rate * t, limit) cost no more than the budget; and the language whose
        fixed cost keeps t from growing, if there is one.

        The cost is linear between the values of t at which a language exceeds what exists or reaches its limit.
        """
        ends = {tag: limits[tag] / rate for tag, rate in rates.items() if rate > 0}
        starts = {tag: self.existing.get(tag, 0.0) / rates[tag] for tag in ends}
        paying = sorted((tag for tag in ends if starts[tag] < ends[tag]), key=lambda tag: ends[tag])
        events = sorted((at[tag], is_end, tag) for is_end, at in enumerate((starts, ends)) for tag in paying)
        cost = {tag: self.costs.get(tag, 1.0) for tag in paying}
        paid = dict.fromkeys(paying, False)
        constant = 0.0
        for at, is_end, tag in events:
            slope = sum(cost[one] * rates[one] for one, pays in paid.items() if pays)
            if slope * at > self.amount - constant:
                return (self.amount - constant) / slope, None
            paid[tag] = not is_end
            if is_end:
                constant += cost[tag] * limits[tag]
                continue
            fixed = self.fixed_costs.get(tag, 0.0)
            if fixed and constant + slope * at + fixed > self.amount:
                return at, tag
            constant += fixed - cost[tag] * self.existing.get(tag, 0.0)
        return math.inf, None

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


def _largest_scale(rates: Amounts, limits: Amounts, weights: Mapping[str, float], most: float) -> float:
    """Largest t with sum of weight * min(rate * t, limit) <= most; missing languages have weight 0.

    The sum is linear between the values of t at which a language reaches its limit.
    """
    if math.isinf(most):
        return math.inf
    full = {tag: limits[tag] / rate if rate else math.inf for tag, rate in rates.items() if weights.get(tag, 0.0)}
    used = 0.0
    rising = sorted(full, key=lambda tag: full[tag])
    for place, tag in enumerate(rising):
        slope = sum(weights[one] * rates[one] for one in rising[place:])
        if slope * full[tag] > most - used:
            return (most - used) / slope
        used += weights[tag] * limits[tag]
    return math.inf
