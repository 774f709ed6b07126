"""Local search for candidate mixtures: random shares of the allowed languages, then pairwise exchanges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from crosslift.recommendation.joint import AnyModel
from crosslift.recommendation.objective import AnyObjective, Budget
from crosslift.streams import stream
from crosslift.transfer.model.observations import Amounts, content_key

EQUIVALENCE_MARGIN = 0.02
"""Mixtures whose objectives differ by less than two points are equivalent."""
LEAST_DIFFERENCE = 0.05
"""Mixtures are different if more than this share of the larger one would have to be exchanged."""
NUM_RANDOM, NUM_LEADERS, NUM_EXCHANGES = 120, 6, 24
"""Random mixtures; leading ones that are improved in each round; exchanges of each."""
NUM_FOUND = 24
"""Largest number of mixtures that a search returns."""
CHUNK = 64
"""Mixtures that are predicted together, which bounds memory."""


def search_mixtures(
    fitted: AnyModel, model: str, objective: AnyObjective, budget: Budget, *, seed: int = 0, rounds: int = 3
) -> list[dict[str, float]]:
    """Find mixtures with a high predicted objective that spend the budget as far as the constraints allow.

    Random shares are improved by rounds of pairwise exchanges. The result is the best distinct mixtures.

    Args:
        fitted: the transfer model.
        model: name of the model to train.
        objective: what is maximised.
        budget: constraints of a mixture.
        seed: of the random shares and exchanges.
        rounds: rounds of exchanges.

    Returns:
        Amounts per language, by decreasing predicted objective; they differ by at least LEAST_DIFFERENCE.
    """
    tags = list(budget.languages)
    generator = stream(seed, "recommend", "exchanges")
    pool = _random_shares(tags, NUM_RANDOM, seed)
    known: dict[tuple[tuple[str, int], ...], tuple[float, dict[str, float], dict[str, float]]] = {}
    for step in range(rounds + 1):
        fresh: dict[tuple[tuple[str, int], ...], tuple[dict[str, float], dict[str, float]]] = {}
        for shares in pool:
            amounts = budget.allocate(shares)
            if amounts and content_key(amounts) not in known:
                fresh.setdefault(content_key(amounts), (amounts, shares))
        found = list(fresh.values())
        values = _values(fitted, model, objective, [amounts for amounts, _ in found])
        known |= {key: (value, *one) for (key, one), value in zip(fresh.items(), values, strict=True)}
        if step < rounds:
            leaders = sorted(known.values(), key=lambda one: -one[0])[:NUM_LEADERS]
            pool = [one for _, _, shares in leaders for one in _exchanges(shares, tags, generator)]
    return distinct([amounts for _, amounts, _ in sorted(known.values(), key=lambda one: -one[0])], NUM_FOUND)


def random_mixtures(budget: Budget, num_mixtures: int, *, seed: int = 0) -> list[dict[str, float]]:
    """Random mixtures that spend the budget; equal shares and single languages come first.

    Where the limits of the data keep some mixtures from spending half of the budget, only the others are returned.

    Args:
        budget: constraints of a mixture.
        num_mixtures: random mixtures, in addition to equal shares and single languages.
        seed: of the random shares.
    """
    found = (budget.allocate(shares) for shares in _random_shares(list(budget.languages), num_mixtures, seed))
    mixtures = [amounts for amounts in found if amounts]
    spending = [amounts for amounts in mixtures if budget.cost_of(amounts) >= budget.amount / 2]
    return spending or mixtures


def distinct(
    mixtures: Iterable[Amounts], most: int | None = None, *, apart_from: Sequence[Amounts] = ()
) -> list[dict[str, float]]:
    """The mixtures that differ by at least LEAST_DIFFERENCE from all earlier ones, whatever the order of languages.

    Args:
        mixtures: amounts per language.
        most: largest number of mixtures; None: all.
        apart_from: mixtures from which they must differ as well.
    """
    found: list[dict[str, float]] = []
    for one in mixtures:
        if most is not None and len(found) == most:
            break
        if all(difference(one, other) >= LEAST_DIFFERENCE for other in (*apart_from, *found)):
            found.append(dict(one))
    return found


def difference(one: Amounts, other: Amounts) -> float:
    """Share of the larger mixture by which two mixtures differ, from 0 to 1."""
    largest = max(sum(one.values()), sum(other.values()))
    common = sum(min(amount, other.get(tag, 0.0)) for tag, amount in one.items())
    return 1 - common / largest if largest > 0 else 0.0


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


def _values(fitted: AnyModel, model: str, objective: AnyObjective, mixtures: Sequence[Amounts]) -> list[float]:
    """The objective at the posterior medians, minus ten times the shortfall of the scores from their minima."""
    found: list[float] = []
    bounds = objective.floors + EQUIVALENCE_MARGIN / 2
    for start in range(0, len(mixtures), CHUNK):
        expected = fitted.predict_median(mixtures[start : start + CHUNK], model, objective.languages)
        values = objective.value(expected)
        if np.isfinite(bounds).any():
            values = values - 10 * np.clip(bounds - expected, 0.0, None).sum(axis=1)
        found += values.tolist()
    return found


def _exchanges(
    shares: Mapping[str, float], tags: Sequence[str], generator: np.random.Generator
) -> list[dict[str, float]]:
    """Mixtures in which a tenth of the total is moved from one language to another, NUM_EXCHANGES at random."""
    total = sum(shares.values())
    moves = [(giver, taker) for giver in shares for taker in tags if taker != giver]
    if len(moves) > NUM_EXCHANGES:
        moves = [moves[place] for place in generator.choice(len(moves), size=NUM_EXCHANGES, replace=False)]
    found = []
    for giver, taker in moves:
        moved = min(0.1 * total, shares[giver])
        one = dict(shares) | {giver: shares[giver] - moved, taker: shares.get(taker, 0.0) + moved}
        found.append({tag: value for tag, value in one.items() if value > 1e-9})
    return found
