"""The same items in several languages, or under several runs: do right and wrong fall on the same ones?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True, kw_only=True)
class Consistency:
    """Over items that were asked in all languages."""

    share_all_correct: float
    share_all_wrong: float
    agreement: float
    """Share of pairs of languages with the same outcome, mean over items."""
    kappa: float
    """Agreement beyond what the accuracies alone would give: J. L. Fleiss (1971), Psychological Bulletin 76."""


def consistency(correct: np.ndarray) -> Consistency:
    """Of right (1) and wrong (0), shape (items, languages).

    kappa = (A - E) / (1 - E) with A the mean over items of agreeing pairs, E = p^2 + (1 - p)^2 for the share p of right
    answers over all. NaN where everything is right or everything wrong.
    """
    n = correct.shape[1]
    hits = correct.sum(axis=1)
    agreeing = (hits * (hits - 1) + (n - hits) * (n - hits - 1)) / (n * (n - 1))
    p = float(correct.mean())
    expected = p**2 + (1 - p) ** 2
    agreement = float(agreeing.mean())
    return Consistency(
        share_all_correct=float((hits == n).mean()),
        share_all_wrong=float((hits == 0).mean()),
        agreement=agreement,
        kappa=(agreement - expected) / (1 - expected) if expected < 1 else float("nan"),
    )


def mcnemar(one: np.ndarray, other: np.ndarray) -> tuple[int, int, float]:
    """Items that only the first got right, only the second, and the exact two-sided p-value.

    Q. McNemar (1947), Psychometrika 12: of the discordant items, half should fall on either side.
    """
    first, second = int(((one > 0.5) & (other <= 0.5)).sum()), int(((one <= 0.5) & (other > 0.5)).sum())
    p = 1.0 if first + second == 0 else float(stats.binomtest(first, first + second).pvalue)
    return first, second, p
