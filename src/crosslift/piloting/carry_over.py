"""What a pilot on a small model tells about a larger one of the same family, as measured on the reference grids.

The numbers are those that `python benchmarks/small_to_large.py` prints, over pairs of a smaller and a larger pocket
model of one family, four tasks and two studies; a test holds them to the reference results. They are evidence from
models of a few megabytes, and the sentences say so.
"""

from __future__ import annotations

from typing import NamedTuple


class CarryOver(NamedTuple):
    """Agreement of a smaller and a larger model over the mixtures of a grid; numbers with 95 % limits."""

    num_cases: int
    rank_correlation: tuple[float, float, float]
    """Spearman's, of the mixtures' mean scores over languages."""
    regret: tuple[float, float, float]
    """Points that the larger model loses if it is trained on the best mixture of the smaller one."""
    random_regret: float
    """The same for a random mixture."""


DIFFERENT_TOTALS = CarryOver(11, (0.60, 0.45, 0.66), (6.8, 2.9, 7.9), 12.0)
"""Mixtures whose total differs."""
ONE_TOTAL = CarryOver(8, (0.04, -0.23, 0.32), (5.0, 1.7, 7.4), 5.5)
"""Mixtures of one total, which differ in their languages only."""


def sentences(small: str, larger: str | None) -> list[str]:
    """Say what carries over from a small model to a larger one, and what does not.

    Args:
        small: path of the model of the pilot.
        larger: path of the larger model; None if there is none.
    """
    of = f"{small} to {larger}" if larger is not None else f"{small} to a larger model"
    return [
        f"What carries over from {of}, as far as the reference grids (pocket models, two studies) tell: how much data "
        f"helps. Mixtures of different totals are ranked alike by two sizes of one family: rank correlation "
        f"{_interval(DIFFERENT_TOTALS.rank_correlation, 2)} over {DIFFERENT_TOTALS.num_cases} cases. The larger model "
        f"loses {_interval(DIFFERENT_TOTALS.regret, 1)} points on the best mixture of the smaller one, and "
        f"{DIFFERENT_TOTALS.random_regret:.1f} on a random one.",
        f"What does not: which languages are best at one total. There the rank correlation is "
        f"{_interval(ONE_TOTAL.rank_correlation, 2)} over {ONE_TOTAL.num_cases} cases, and the best mixture of the "
        f"smaller model ({_interval(ONE_TOTAL.regret, 1)} points lost) is no better than a random one "
        f"({ONE_TOTAL.random_regret:.1f}). Nor do levels of scores, how much English is kept, or anything where the "
        "small model is at the floor.",
        "So use the small model to see whether the data, the prompts and the scores are right and how scores grow with "
        "data, and repeat the mixtures that matter on the larger one before you decide"
        + (": enabled = true under [arms.larger]." if larger is not None else "."),
    ]


def _interval(number: tuple[float, float, float], decimals: int) -> str:
    value, low, high = (f"{one:.{decimals}f}" for one in number)
    return f"{value} [{low}, {high}]"
