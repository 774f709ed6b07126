"""The mixtures of a pilot: those from which the transfer model learns most, beside the control."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from crosslift.mixtures.mixture import largest_remainder
from crosslift.streams import stream
from crosslift.transfer.design.optimal import Candidates, information, optimal_design
from crosslift.transfer.design.power import Design, detectable_difference, detectable_run_difference
from crosslift.transfer.design.prior import candidates
from crosslift.transfer.model.observations import content_key

TOTALS = (1.0, 0.5, 0.25)
"""Totals of the candidates, relative to the largest, so that a pilot also tells how much data helps."""
MAX_CANDIDATES, MAX_CELLS = 120, 720
"""Upper limits of candidates, and of candidates x languages, which bound the time to about a second."""
PARTS = 20
"""Shares are multiples of 1 / PARTS."""
NUM_COMPARED = 10
"""Random designs that the chosen one is compared with, of each size."""


@dataclass(frozen=True, kw_only=True)
class PilotDesign:
    """Mixtures of a pilot, and what its runs can tell."""

    mixtures: tuple[dict[str, int], ...]
    """Amounts per language; the first is the control. The others are in the order in which they tell most."""
    as_random: int
    """Random mixtures, beside the control, that would tell as much."""
    detectable: float
    """Smallest difference of two mixtures' means over languages that is found with a power of 80 %, as a share."""
    detectable_in_one: float
    """The same for two runs in one language, without the noise between runs."""


def pilot_design(languages: Sequence[str], *, total: int, num_mixtures: int, num_test: int, seed: int) -> PilotDesign:
    """Choose the mixtures of a pilot.

    Args:
        languages: training and evaluation languages; the first alone is the control.
        total: largest total of a mixture, in items.
        num_mixtures: mixtures, the control included.
        num_test: items to test with in each language.
        seed: of the random candidates.

    Returns:
        The design.

    Raises:
        UnknownName: a language without facts.
    """
    pool = _pool(languages, total, seed)
    prior = candidates([("pilot", mixture) for mixture in pool], languages, num_items=num_test)
    chosen = optimal_design(prior, num_mixtures - 1, included=[0])
    return PilotDesign(
        mixtures=tuple(pool[place] for place in [0, *chosen]),
        as_random=_as_random(prior, chosen, seed),
        detectable=detectable_difference(Design(num_items=num_test, num_languages=len(languages))),
        detectable_in_one=detectable_run_difference(num_test),
    )


def _pool(languages: Sequence[str], total: int, seed: int) -> list[dict[str, int]]:
    """Candidates: single languages, all, pairs, and random shares of random languages, each in all totals."""
    num = len(languages)
    sets = [(place,) for place in range(num)] + [tuple(range(num))]
    sets += [(0, place) for place in range(1, num)]
    if num <= 8:
        sets += list(combinations(range(1, num), 2))
    weights = [np.isin(np.arange(num), chosen).astype(float) for chosen in sets]
    generator = stream(seed, "pilot", "candidates")
    most = max(min(MAX_CELLS // num, MAX_CANDIDATES), len(sets) * len(TOTALS))
    found: dict[tuple[tuple[str, int], ...], dict[str, int]] = {}
    for one in weights:
        _add(found, languages, one, total)
    for _ in range(20 * most):
        if len(found) >= most:
            break
        chosen = generator.choice(num, size=int(generator.integers(2, num + 1)), replace=False)
        shares = np.zeros(num)
        shares[chosen] = largest_remainder(PARTS, generator.dirichlet(np.ones(len(chosen))).tolist())
        _add(found, languages, shares, total)
    return list(found.values())[:most]


def _add(
    found: dict[tuple[tuple[str, int], ...], dict[str, int]], languages: Sequence[str], weights: np.ndarray, total: int
) -> None:
    for share in TOTALS:
        counts = largest_remainder(int(total * share), weights.tolist())
        mixture = {tag: count for tag, count in zip(languages, counts, strict=True) if count}
        found.setdefault(content_key({tag: float(count) for tag, count in mixture.items()}), mixture)


def _as_random(prior: Candidates, chosen: Sequence[int], seed: int) -> int:
    """Number of random mixtures whose mean information reaches that of the design; at most all candidates."""
    wanted = information(prior, [0, *chosen])
    generator = stream(seed, "pilot", "random")
    orders = [1 + generator.permutation(prior.num - 1) for _ in range(NUM_COMPARED)]
    low, high = len(chosen), prior.num - 1
    while low < high:
        middle = (low + high) // 2
        if np.mean([information(prior, [0, *order[:middle].tolist()]) for order in orders]) >= wanted:
            high = middle
        else:
            low = middle + 1
    return low
