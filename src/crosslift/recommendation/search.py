"""The search for candidate mixtures: random shares of the allowed languages, then pairwise exchanges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from crosslift.recommendation.objective import Budget, Objective
from crosslift.streams import stream
from crosslift.transfer.estimates.language_groups import ENGLISH
from crosslift.transfer.model.gaussian_process import TransferModel

EQUIVALENCE_MARGIN = 0.02
"""Two points: mixtures that differ by less are as good as each other."""


def search_mixtures(
    fitted: TransferModel, model: str, objective: Objective, budget: Budget, *, seed: int = 0, rounds: int = 4
) -> list[dict[str, float]]:
    """Shares of the allowed languages that promise much: random ones, then exchanges.

    All candidates spend the whole budget. Shares are multiples of a twentieth.
    """
    tags = list(budget.languages)
    pool = _random_shares(tags, 150, seed)
    for _ in range(rounds):
        amounts = [budget.allocate(shares) for shares in pool]
        values = _penalised_objective(fitted.predict_mean(amounts, model, objective.languages), objective)
        leaders = [pool[place] for place in np.argsort(-values)[:8]]
        pool = [*leaders, *(one for leader in leaders for one in _exchanges(leader, tags))]
    amounts = [budget.allocate(shares) for shares in pool]
    values = _penalised_objective(fitted.predict_mean(amounts, model, objective.languages), objective)
    unique: dict[tuple[tuple[str, int], ...], dict[str, float]] = {}
    for place in np.argsort(-values)[:60]:
        one = amounts[place]
        unique.setdefault(tuple(sorted((tag, round(value)) for tag, value in one.items())), one)
    return list(unique.values())[:24]


def random_mixtures(budget: Budget, num_mixtures: int, *, seed: int = 0) -> list[dict[str, float]]:
    """Mixtures that spend the budget in all sorts of ways: what a next run may be chosen from."""
    return [budget.allocate(shares) for shares in _random_shares(list(budget.languages), num_mixtures, seed)]


def _random_shares(tags: list[str], num_random: int, seed: int) -> list[dict[str, float]]:
    """Shares: the same of all, each language alone, and random ones in twentieths."""
    generator = stream(seed, "recommend", "search")
    pool: list[dict[str, float]] = [dict.fromkeys(tags, 1.0), *({tag: 1.0} for tag in tags)]
    for _ in range(num_random):
        size = int(generator.integers(1, len(tags) + 1))
        chosen = generator.choice(len(tags), size=size, replace=False)
        weights = generator.dirichlet(np.ones(size))
        pool.append({tags[place]: max(round(20 * float(w)), 1) for place, w in zip(chosen, weights, strict=True)})
    return pool


def _penalised_objective(expected: np.ndarray, objective: Objective) -> np.ndarray:
    """The objective, less ten times what English lacks to its bound with a little room above."""
    values = objective.value(expected)
    if objective.english_at_least is None or ENGLISH not in objective.languages:
        return values
    english = expected[:, objective.languages.index(ENGLISH)]
    return np.asarray(values - 10 * np.clip(objective.english_at_least + EQUIVALENCE_MARGIN / 2 - english, 0.0, None))


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
