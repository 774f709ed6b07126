"""The estimands of cross-lingual transfer, each a function of a condition's mean scores per language.

A condition is a model trained on a mixture, or the base model; its mean score in a language is the mean over items and
training seeds. An estimand takes means of shape (languages, columns), where the columns are the observed and the
resampled means, or runs, or clusters. The interval of an estimand is computed in `estimate` from these columns, so that
a new estimand consists of a function and an entry in ESTIMANDS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from crosslift.scores import Scale
from crosslift.transfer.estimates.language_groups import ENGLISH
from crosslift.transfer.estimates.number import ResampledStatistic, difference, ratio

LanguageGroups = Mapping[str, np.ndarray]
"""Label of a group -> positions of its languages, see `language_groups.language_groups`."""


def score(means: np.ndarray, languages: LanguageGroups, label: str) -> np.ndarray:
    """Mean score over the languages of a group: sum_l m_l / |group|.

    arXiv 2604.13286 plots it for high- and low-resource languages; arXiv 2504.16677 reports the average over the
    non-English languages.

    Args:
        means: mean scores, shape (languages, columns).
        languages: positions of the languages of each group.
        label: the group.

    Returns:
        Shape (columns,), in the unit of the scores.
    """
    return np.asarray(means[languages[label]].mean(axis=0))


def relative_to_english(means: np.ndarray, languages: LanguageGroups, label: str) -> np.ndarray:
    """Mean score over the languages of a group divided by the English score of the same runs: mean_l m_l / m_en.

    arXiv 2504.16677 reports it for the non-English languages. The ratio also rises when the English score falls;
    interpret it together with the scores.

    Args:
        means: mean scores, shape (languages, columns).
        languages: positions of the languages of each group.
        label: the group of the numerator.

    Returns:
        Shape (columns,), a ratio; NaN where the English score is 0.
    """
    english = means[languages[ENGLISH][0]]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(english > 0, score(means, languages, label) / english, np.nan)


def seen_unseen_gap(means: np.ndarray, languages: LanguageGroups, label: str) -> np.ndarray:
    """Mean score over the seen languages minus mean score over the unseen languages, both without English.

    sum_{l seen} m_l / |seen| - sum_{l unseen} m_l / |unseen|; arXiv 2504.16677, section 5. The two groups contain
    different languages, so the gap is in general not 0 before training; `seen_unseen_gap_gain` subtracts that part.

    Args:
        means: mean scores, shape (languages, columns).
        languages: positions of the languages of each group.
        label: not used; the gap has one label, SEEN_AND_UNSEEN.

    Returns:
        Shape (columns,), in the unit of the scores.
    """
    return np.asarray(score(means, languages, "seen") - score(means, languages, "unseen"))


@dataclass(frozen=True, kw_only=True)
class Estimand:
    """An estimand of a single condition."""

    function: Callable[[np.ndarray, LanguageGroups, str], np.ndarray]
    """(means, languages, label) -> values, from shape (languages, columns) to shape (columns,)."""
    labels: Callable[[LanguageGroups], tuple[str, ...]]
    """Labels of the language groups that the estimand is reported for."""
    required_groups: Callable[[str], tuple[str, ...]]
    """Groups that must not be empty, for a label."""
    linear: bool
    """Whether the estimand is linear in the means. Only then do clusters have additive contributions, which the
    sign-flip test needs."""
    bounds: tuple[float, float]
    """Smallest and largest possible value for shares; intervals are truncated to them."""

    def within(self, scale: Scale) -> tuple[float, float]:
        """Smallest and largest possible value for a metric."""
        if self.function is score:
            return scale.low, scale.high
        return self.bounds if self.function is relative_to_english else _differences(scale.low, scale.high)

    @property
    def name(self) -> str:
        """Name of the function, as in the column `estimand` of the estimates."""
        return self.function.__name__


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A comparison of an estimand between treatment and control; both sides use the treatment's language groups."""

    name: str
    """As in the column `estimand` of the estimates."""
    estimand: Estimand
    operation: Callable[[ResampledStatistic, ResampledStatistic], ResampledStatistic]
    """How the two statistics are combined: difference or ratio."""
    labels: Callable[[LanguageGroups], tuple[str, ...]]
    """Labels of the language groups that the comparison is reported for."""
    bounds: tuple[float, float]
    """Smallest and largest possible value for shares; intervals are truncated to them."""
    tested: bool
    """Whether the null hypothesis "the value is 0" is tested."""

    def within(self, scale: Scale) -> tuple[float, float]:
        """Smallest and largest possible value for a metric."""
        return self.bounds if self.operation is ratio else _differences(*self.estimand.within(scale))


def _every(languages: LanguageGroups) -> tuple[str, ...]:
    return tuple(languages)


def _without_english(languages: LanguageGroups) -> tuple[str, ...]:
    if ENGLISH not in languages:
        return ()
    return tuple(label for label in languages if label not in {ENGLISH, "all", "high", "low"})


def _english_and_high(languages: LanguageGroups) -> tuple[str, ...]:
    return tuple(label for label in (ENGLISH, "high") if label in languages)


def _differences(low: float, high: float) -> tuple[float, float]:
    """Range of the differences of two values of a range."""
    return low - high, high - low


SEEN_AND_UNSEEN = "seen - unseen"

_SCORE = Estimand(function=score, labels=_every, required_groups=lambda label: (label,), linear=True, bounds=(0.0, 1.0))
_RELATIVE = Estimand(
    function=relative_to_english,
    labels=_without_english,
    required_groups=lambda label: (label, ENGLISH),
    linear=False,
    bounds=(0.0, np.inf),
)
SEEN_UNSEEN_GAP = Estimand(
    function=seen_unseen_gap,
    labels=lambda languages: (SEEN_AND_UNSEEN,),
    required_groups=lambda label: ("seen", "unseen"),
    linear=True,
    bounds=(-1.0, 1.0),
)
ESTIMANDS = (_SCORE, _RELATIVE, SEEN_UNSEEN_GAP)


def _minus_control(name: str, of: Estimand) -> Comparison:
    """Treatment minus control. The gain of a score is the direct gain in "seen" and the transfer gain in "unseen"."""
    return Comparison(
        name=name,
        estimand=of,
        operation=difference,
        labels=of.labels,
        bounds=_differences(*of.bounds),
        tested=True,
    )


RETENTION = Comparison(
    name="retention", estimand=_SCORE, operation=ratio, labels=_english_and_high, bounds=(0.0, np.inf), tested=False
)
"""Share of the control's score that the treatment retains, m_treatment / m_control, in English and over the
high-resource languages. A value below 1 is interference from the added languages. It is not tested, because the test of
the gain has the same null hypothesis. The literature on catastrophic forgetting reports the difference (backward
transfer, D. Lopez-Paz and M. Ranzato 2017, arXiv 1706.08840), which is the gain in English here; the ratio makes models
with different scores comparable."""

GAIN = _minus_control("gain", _SCORE)
COMPARISONS = (
    GAIN,
    _minus_control("relative_to_english_gain", _RELATIVE),
    _minus_control("seen_unseen_gap_gain", SEEN_UNSEEN_GAP),
    RETENTION,
)
