"""Agreement of correctness between languages, and between runs, on the same items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True, kw_only=True)
class Consistency:
    """Agreement between languages, over items with an answer in every language."""

    share_all_correct: float
    """Share of items answered correctly in all languages."""
    share_all_wrong: float
    """Share of items answered correctly in no language."""
    agreement: float
    """Share of pairs of languages with equal outcome, averaged over items."""
    kappa: float
    """Chance-corrected agreement: J. L. Fleiss (1971), Psychological Bulletin 76."""


def consistency(correct: np.ndarray) -> Consistency:
    """Agreement between languages.

    kappa = (A - E) / (1 - E), where A is the share of agreeing pairs averaged over items, E = p^2 + (1 - p)^2, and p is
    the share of correct answers. NaN if all answers are correct or all are wrong.

    Args:
        correct: 1 for correct answers, else 0; shape (items, languages).
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
    """McNemar's exact test of two vectors of outcomes on the same items (Q. McNemar 1947, Psychometrika 12).

    Args:
        one: scores of the first side, shape (items,); correct if above 0.5.
        other: scores of the second side, shape (items,).

    Returns:
        Items that only the first side answers correctly, items that only the second does, and the two-sided p-value.
    """
    first, second = int(((one > 0.5) & (other <= 0.5)).sum()), int(((one <= 0.5) & (other > 0.5)).sum())
    p = 1.0 if first + second == 0 else float(stats.binomtest(first, first + second).pvalue)
    return first, second, p
