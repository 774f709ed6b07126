"""Which mixture to train, under a budget.

Every candidate's scores are drawn jointly from a transfer model (`predict`), so that "how sure" is a count of draws and
candidates that share languages rise and fall together. A recommendation stands beside the two plain choices that anyone
would make: the same amount of every language, and the best mixture that was tried.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from crosslift.errors import TransferError
from crosslift.streams import stream
from crosslift.transfer.estimates.language_groups import ENGLISH
from crosslift.transfer.model.gaussian_process import TransferModel
from crosslift.transfer.model.observations import Amounts

Verdict = Literal["better", "as good", "worse", "cannot tell"]
NUM_DRAWS = 4000
SURE = 0.95
LEAST_MIXTURES = 2
MARGIN = 0.02
"""Two points: mixtures that differ by less are as good as each other."""


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
        return np.asarray(scores @ self.linear(np.zeros(len(self.languages))))

    def linear(self, means: np.ndarray) -> np.ndarray:
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
    most: Mapping[str, float] = field(default_factory=dict)
    """As much as there is of a language."""

    def spent(self, amounts: Amounts) -> float:
        return sum(amount * self.costs.get(tag, 1.0) for tag, amount in amounts.items())

    def allows(self, amounts: Amounts) -> bool:
        within = all(amount <= self.most.get(tag, np.inf) * (1 + 1e-9) for tag, amount in amounts.items() if amount > 0)
        known = {tag for tag, amount in amounts.items() if amount > 0} <= set(self.languages)
        return within and known and self.spent(amounts) <= self.amount * (1 + 1e-9)

    def share_out(self, shares: Mapping[str, float]) -> dict[str, float]:
        """Amounts that spend the whole budget in these shares; what a language has no more of is left unspent."""
        total = sum(shares.values())
        return {
            tag: min(share / total * self.amount / self.costs.get(tag, 1.0), self.most.get(tag, np.inf))
            for tag, share in shares.items()
            if share > 0
        }


@dataclass(frozen=True, kw_only=True)
class Against:
    """The recommended mixture minus another, in the unit of the scores."""

    name: str
    amounts: Amounts
    value: float
    low: float
    high: float
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """A mixture, and how sure."""

    amounts: dict[str, float]
    expected: float
    low: float
    high: float
    expected_by_language: dict[str, float]
    p_best: float
    """Share of draws in which no other candidate is better by more than MARGIN."""
    against: tuple[Against, ...]
    alternatives: tuple[tuple[dict[str, float], float], ...]
    """The next best candidates and their expected objective."""
    reasons: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        """The weakest of what can be said against the plain choices."""
        order: tuple[Verdict, ...] = ("worse", "cannot tell", "as good", "better")
        return min((one.verdict for one in self.against), key=order.index, default="cannot tell")


def recommend(
    fitted: TransferModel,
    model: str,
    objective: Objective,
    budget: Budget,
    *,
    candidates: Sequence[Amounts] | None = None,
    seed: int = 0,
) -> Recommendation:
    """The candidate with the highest expected objective.

    Args:
        model: which is to be trained; one that was not observed is told from the others.
        candidates: mixtures to choose from; None: a search over shares of the allowed languages.
        seed: of the search and the draws.

    Raises:
        TransferError: fewer than two mixtures were observed, no candidate is within the budget, or none keeps English.
    """
    if (num := len(set(fitted.observed.mixtures))) < LEAST_MIXTURES:
        raise TransferError(f"runs of {num} mixtures teach nothing about what to choose. Two are the least.")
    uniform = budget.share_out(dict.fromkeys(budget.languages, 1.0))
    tried = _best_tried(fitted, model, objective, budget)
    plain = [one for one in (uniform, tried) if one is not None]
    pool = [*plain, *(search(fitted, model, objective, budget, seed=seed) if candidates is None else candidates)]
    within: list[dict[str, float]] = [dict(one) for one in pool if budget.allows(one)]
    if not within:
        raise TransferError(f"no candidate stays within {budget.amount:g}. Raise the budget or allow more languages.")
    draws = _draws(fitted, model, objective, within, seed)  # (draws, candidates, languages)
    allowed = _keeps_english(objective, draws)
    if not allowed.any():
        raise TransferError(f"no candidate keeps English above {objective.english_at_least:g}. Lower the bound.")
    values = objective.value(draws)
    means = np.where(allowed, values.mean(axis=0), -np.inf)
    best = int(means.argmax())
    order = [int(place) for place in np.argsort(-means) if place != best and np.isfinite(means[place])]
    low, high = np.quantile(values[:, best], [0.025, 0.975])
    against = [
        _against(name, within[place], values[:, best] - values[:, place])
        for name, place in zip(_names(uniform, tried), range(len(plain)), strict=False)
    ]
    return Recommendation(
        amounts=within[best],
        expected=float(values[:, best].mean()),
        low=float(low),
        high=float(high),
        expected_by_language=dict(zip(objective.languages, draws[:, best].mean(axis=0).tolist(), strict=True)),
        p_best=float((values[:, best] >= values[:, allowed].max(axis=1) - MARGIN).mean()),
        against=tuple(against),
        alternatives=tuple((within[place], float(means[place])) for place in order[:3]),
        reasons=tuple(_reasons(fitted, model, within[best], objective)),
    )


def _names(uniform: Amounts, tried: Amounts | None) -> list[str]:
    return ["the same of every language", *(["the best mixture tried"] if tried is not None else [])]


def _against(name: str, amounts: Amounts, difference: np.ndarray) -> Against:
    low, high = np.quantile(difference, [0.025, 0.975])
    verdict: Verdict = "cannot tell"
    if low > 0:
        verdict = "better"
    elif low >= -MARGIN and high <= MARGIN:
        verdict = "as good"
    elif high < 0:
        verdict = "worse"
    return Against(
        name=name, amounts=amounts, value=float(difference.mean()), low=float(low), high=float(high), verdict=verdict
    )


def _draws(fitted: TransferModel, model: str, objective: Objective, pool: Sequence[Amounts], seed: int) -> np.ndarray:
    mean, covariance = fitted.predict(pool, model, objective.languages)
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.clip(values, 0.0, None))
    normals = stream(seed, "recommend", "draws").standard_normal((NUM_DRAWS, len(mean)))
    drawn: np.ndarray = mean + normals @ root.T
    return drawn.reshape(NUM_DRAWS, len(pool), len(objective.languages))


def _keeps_english(objective: Objective, draws: np.ndarray) -> np.ndarray:
    if objective.english_at_least is None or ENGLISH not in objective.languages:
        return np.ones(draws.shape[1], dtype=bool)
    english = draws[:, :, objective.languages.index(ENGLISH)]
    return np.asarray((english >= objective.english_at_least).mean(axis=0) >= SURE)


def _best_tried(fitted: TransferModel, model: str, objective: Objective, budget: Budget) -> Amounts | None:
    """The observed mixture with the highest mean of what was observed, among those within the budget."""
    observed = fitted.observed
    best: tuple[float, Amounts] | None = None
    for mixture in sorted(set(observed.mixtures[observed.models == model])):
        amounts = observed.amounts[mixture]
        rows = np.flatnonzero((observed.models == model) & (observed.mixtures == mixture))
        scores = [observed.values[rows[observed.languages[rows] == tag]] for tag in objective.languages]
        if not budget.allows(amounts) or any(len(values) == 0 for values in scores):
            continue
        value = float(objective.value(np.array([values.mean() for values in scores])))
        if best is None or value > best[0]:
            best = value, amounts
    return None if best is None else best[1]


def search(
    fitted: TransferModel, model: str, objective: Objective, budget: Budget, *, seed: int = 0, rounds: int = 4
) -> list[dict[str, float]]:
    """Shares of the allowed languages that promise much: random ones, then exchanges.

    All candidates spend the whole budget. Shares are multiples of a twentieth.
    """
    tags = list(budget.languages)
    pool = _all_sorts(tags, 150, seed)
    for _ in range(rounds):
        amounts = [budget.share_out(shares) for shares in pool]
        values = _promise(fitted.expected(amounts, model, objective.languages), objective)
        leaders = [pool[place] for place in np.argsort(-values)[:8]]
        pool = [*leaders, *(one for leader in leaders for one in _exchanges(leader, tags))]
    amounts = [budget.share_out(shares) for shares in pool]
    values = _promise(fitted.expected(amounts, model, objective.languages), objective)
    unique: dict[tuple[tuple[str, int], ...], dict[str, float]] = {}
    for place in np.argsort(-values)[:60]:
        one = amounts[place]
        unique.setdefault(tuple(sorted((tag, round(value)) for tag, value in one.items())), one)
    return list(unique.values())[:24]


def all_sorts(budget: Budget, number: int, *, seed: int = 0) -> list[dict[str, float]]:
    """Mixtures that spend the budget in all sorts of ways: what a next run may be chosen from."""
    return [budget.share_out(shares) for shares in _all_sorts(list(budget.languages), number, seed)]


def _all_sorts(tags: list[str], number: int, seed: int) -> list[dict[str, float]]:
    """Shares: the same of all, each language alone, and random ones in twentieths."""
    generator = stream(seed, "recommend", "search")
    pool: list[dict[str, float]] = [dict.fromkeys(tags, 1.0), *({tag: 1.0} for tag in tags)]
    for _ in range(number):
        size = int(generator.integers(1, len(tags) + 1))
        chosen = generator.choice(len(tags), size=size, replace=False)
        weights = generator.dirichlet(np.ones(size))
        pool.append({tags[place]: max(round(20 * float(w)), 1) for place, w in zip(chosen, weights, strict=True)})
    return pool


def _promise(expected: np.ndarray, objective: Objective) -> np.ndarray:
    """The objective, less ten times what English lacks to its bound with a little room above."""
    values = objective.value(expected)
    if objective.english_at_least is None or ENGLISH not in objective.languages:
        return values
    english = expected[:, objective.languages.index(ENGLISH)]
    return np.asarray(values - 10 * np.clip(objective.english_at_least + MARGIN / 2 - english, 0.0, None))


def _exchanges(shares: Mapping[str, float], tags: Sequence[str]) -> list[dict[str, float]]:
    """A tenth of the whole moved from one language to another, for all pairs that have it to give."""
    total = sum(shares.values())
    found = []
    for giver, share in shares.items():
        for taker in tags:
            if taker != giver:
                moved = min(0.1 * total, share)
                one = dict(shares) | {giver: share - moved, taker: shares.get(taker, 0.0) + moved}
                found.append({tag: value for tag, value in one.items() if value > 1e-9})
    return found


def _reasons(fitted: TransferModel, model: str, amounts: Amounts, objective: Objective) -> list[str]:
    """What a reader should know before trusting it."""
    observed = fitted.observed
    here = sorted(set(observed.mixtures[observed.models == model]))
    tried = [observed.amounts[mixture] for mixture in here]
    reasons = [f"{len(here)} mixtures of {model} were observed"]
    if not here:
        reasons = [f"nothing was observed of {model}: all is told from {', '.join(sorted(set(observed.models)))}"]
        tried = [observed.amounts[mixture] for mixture in sorted(set(observed.mixtures))]
        model = "any model"
    for tag, amount in amounts.items():
        most = max((one.get(tag, 0.0) for one in tried), default=0.0)
        if most == 0:
            reasons.append(f"no mixture of {model} has held {tag}: what it brings is told from languages like it")
        elif amount > 1.5 * most:
            reasons.append(f"{tag} goes beyond what was tried ({amount:,.0f} against {most:,.0f}): extrapolated")
    unseen = [tag for tag in objective.languages if not (observed.languages == tag).any()]
    if unseen:
        reasons.append(f"{', '.join(unseen)} was never evaluated: told from languages like it")
    return reasons
