"""Local search for candidate mixtures: random shares of the allowed languages, then pairwise exchanges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from crosslift.recommendation.objective import Budget, Objective
from crosslift.streams import stream
from crosslift.transfer.estimates.language_groups import ENGLISH
from crosslift.transfer.model.gaussian_process import TransferModel

EQUIVALENCE_MARGIN = 0.02
"""Mixtures whose objectives differ by less than two points are equivalent."""


def search_mixtures(
    fitted: TransferModel, model: str, objective: Objective, budget: Budget, *, seed: int = 0, rounds: int = 4
) -> list[dict[str, float]]:
    """Find mixtures with a high expected objective that spend the whole budget.

    Random shares are improved by rounds of pairwise exchanges. The result is the best distinct mixtures.

    Args:
        fitted: the transfer model.
        model: name of the model to train.
        objective: what is maximised.
        budget: constraints of a mixture.
        seed: of the random shares.
        rounds: rounds of exchanges.

    Returns:
        Amounts per language, by decreasing expected objective.
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
    """Random mixtures that spend the whole budget; equal shares and single languages come first.

    Args:
        budget: constraints of a mixture.
        num_mixtures: random mixtures, in addition to equal shares and single languages.
        seed: of the random shares.
    """
    return [budget.allocate(shares) for shares in _random_shares(list(budget.languages), num_mixtures, seed)]


def _random_shares(tags: list[str], num_random: int, seed: int) -> list[dict[str, float]]:
    """Equal shares, each language alone, then Dirichlet draws rounded to multiples of a twentieth."""
    generator = stream(seed, "recommend", "search")
    pool: list[dict[str, float]] = [dict.fromkeys(tags, 1.0), *({tag: 1.0} for tag in tags)]
    for _ in range(num_random):
        size = int(generator.integers(1, len(tags) + 1))
        chosen = generator.choice(len(tags), size=size, replace=False)
        weights = generator.dirichlet(np.ones(size))
        pool.append({tags[place]: max(round(20 * float(w)), 1) for place, w in zip(chosen, weights, strict=True)})
    return pool


def _penalised_objective(expected: np.ndarray, objective: Objective) -> np.ndarray:
    """The objective minus ten times the shortfall of English from its bound, with half the equivalence margin added."""
    values = objective.value(expected)
    if objective.english_at_least is None or ENGLISH not in objective.languages:
        return values
    english = expected[:, objective.languages.index(ENGLISH)]
    return np.asarray(values - 10 * np.clip(objective.english_at_least + EQUIVALENCE_MARGIN / 2 - english, 0.0, None))


def _exchanges(shares: Mapping[str, float], tags: Sequence[str]) -> list[dict[str, float]]:
    """All mixtures in which a tenth of the total is moved from one language to another."""
    total = sum(shares.values())
    found = []
    for giver, share in shares.items():
        for taker in tags:
            if taker != giver:
                moved = min(0.1 * total, share)
                one = dict(shares) | {giver: share - moved, taker: shares.get(taker, 0.0) + moved}
                found.append({tag: value for tag, value in one.items() if value > 1e-9})
    return found
