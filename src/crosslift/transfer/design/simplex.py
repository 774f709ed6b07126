"""Mixtures that cover the simplex of all shares of some languages, drawn uniformly or chosen by an optimal design.

Shares follow from whole numbers and simple arithmetic, and the prior of the design is constant (see `prior`), so that a
study file has the same mixtures on every machine and with every later version.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations
from typing import Literal

import numpy as np

from crosslift.mixtures.mixture import largest_remainder
from crosslift.streams import stream

Design = Literal["uniform", "d_optimal"]
PARTS = 1000
"""Shares of random mixtures are multiples of 1 / PARTS."""
DESIGN_AMOUNT = 1000.0
"""Total amount for which optimal designs are computed, in items, whatever the budget, so that a change of the budget
does not change the shares."""
MAX_CELLS = 900
"""Upper limit of candidates x languages, which bounds the time of an optimal design to about a second."""
MAX_PAIRS = 60
"""Mixtures of two languages among the candidates, if there are no more pairs than this."""
MAX_OPTIMAL = 24
"""Most mixtures of an optimal design, and most languages."""


@lru_cache(maxsize=64)
def simplex_weights(num_languages: int, num_mixtures: int, design: Design, seed: int) -> tuple[tuple[int, ...], ...]:
    """Weights of the languages in mixtures that cover the simplex of all shares.

    "uniform" draws from the uniform distribution on the simplex; more mixtures keep the earlier ones. The others choose
    by `transfer.design.optimal` among single languages, equal shares, pairs in equal shares and uniform draws, under
    the prior of the transfer model without facts about languages.

    Args:
        num_languages: at least 2.
        num_mixtures: number of mixtures.
        design: "uniform", "d_optimal" or "v_optimal".
        seed: of the draws.

    Returns:
        Per mixture one whole weight per language.
    """
    if design == "uniform":
        return tuple(_uniform(num_languages, num_mixtures, seed))
    from crosslift.transfer.design.optimal import optimal_design
    from crosslift.transfer.design.prior import exchangeable_candidates

    pool = _corners(num_languages)
    num_drawn = max(MAX_CELLS // num_languages - len(pool), num_mixtures)
    pool = list(dict.fromkeys([*pool, *_uniform(num_languages, num_drawn, seed)]))
    weights = np.array(pool, dtype=float)
    amounts = DESIGN_AMOUNT * weights / weights.sum(axis=1, keepdims=True)
    chosen = optimal_design(exchangeable_candidates(amounts), num_mixtures, criterion=design)
    return tuple(pool[place] for place in chosen)


def _corners(num_languages: int) -> list[tuple[int, ...]]:
    """Equal shares, single languages, and pairs where there are few."""
    pairs = list(combinations(range(num_languages), 2))
    sets: Sequence[tuple[int, ...]] = [
        tuple(range(num_languages)),
        *((place,) for place in range(num_languages)),
        *(pairs if num_languages > 2 and len(pairs) <= MAX_PAIRS else []),
    ]
    return [tuple(int(place in chosen) for place in range(num_languages)) for chosen in sets]


def _uniform(num_languages: int, num_mixtures: int, seed: int) -> list[tuple[int, ...]]:
    """Uniform draws: the spacings of sorted uniform numbers, as multiples of 1 / PARTS.

    The numbers are raw ones of the bit generator, which numpy guarantees permanently.
    """
    found = []
    for number in range(num_mixtures):
        raw = stream(seed, "simplex", num_languages, number).bit_generator.random_raw(num_languages - 1)
        cuts = np.sort(np.asarray(raw, dtype=np.uint64) >> np.uint64(11)).astype(float) / 2**53
        spacings = np.diff(cuts, prepend=0.0, append=1.0)
        found.append(tuple(largest_remainder(PARTS, spacings.tolist())))
    return found
