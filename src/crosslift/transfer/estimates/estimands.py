"""What can be said about cross-lingual transfer, each as one function of a condition's mean scores per language.

A condition is a model trained on a mixture (or the untouched base model); its mean score in a language is the mean over
items and training seeds. A function here gets such means for many columns at once, shape (languages, columns): column 0
of a call may be the observed means and the rest resampled ones, or the columns may be runs or clusters. The interval of
an estimand therefore required_groups no code of its own (`estimate`): a new estimand is a new function and a line in ESTIMANDS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from crosslift.transfer.estimates.language_groups import ENGLISH
from crosslift.transfer.estimates.number import ResampledStatistic, difference, ratio

LanguageGroups = Mapping[str, np.ndarray]
"""Label -> positions of the languages, see `groups.groups`."""


def score(means: np.ndarray, languages: LanguageGroups, label: str) -> np.ndarray:
    """Mean score over the languages of a group: sum_l m_l / |group|.

    arXiv 2604.13286 plots it for high- and low-resource languages; over "non-English" it is the average of arXiv
    2504.16677.
    """
    return np.asarray(means[languages[label]].mean(axis=0))


def relative_to_english(means: np.ndarray, languages: LanguageGroups, label: str) -> np.ndarray:
    """Mean score over the languages of a group, divided by English of the same runs: mean_l m_l / m_en.

    1 means as good as English. arXiv 2504.16677 reports it for the non-English languages. It rises when English falls,
    so it never stands without the scores. NaN where English scores 0.
    """
    english = means[languages[ENGLISH][0]]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(english > 0, score(means, languages, label) / english, np.nan)


def seen_unseen_gap(means: np.ndarray, languages: LanguageGroups, label: str) -> np.ndarray:
    """Mean over the languages trained on minus mean over those not trained on, English in neither.

    sum_{l seen} m_l / |seen| - sum_{l unseen} m_l / |unseen|; arXiv 2504.16677, section 5. The two sides are different
    languages: part of the gap is there before any training, which `seen_unseen_gap_gain` takes out.
    """
    return np.asarray(score(means, languages, "seen") - score(means, languages, "unseen"))


@dataclass(frozen=True, kw_only=True)
class Estimand:
    """How a function of one condition's means is reported."""

    function: Callable[[np.ndarray, LanguageGroups, str], np.ndarray]
    labels: Callable[[LanguageGroups], tuple[str, ...]]
    required_groups: Callable[[str], tuple[str, ...]]
    """LanguageGroups that must not be empty, given a label."""
    linear: bool
    """Linear in the means: clusters then have separate contributions and signs can be flipped."""
    bounds: tuple[float, float]

    @property
    def name(self) -> str:
        return self.function.__name__


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How an estimand of a treatment is held against that of its control, with the treatment's groups on both sides."""

    name: str
    estimand: Estimand
    operation: Callable[[ResampledStatistic, ResampledStatistic], ResampledStatistic]
    labels: Callable[[LanguageGroups], tuple[str, ...]]
    bounds: tuple[float, float]
    tested: bool
    """Is 0 a hypothesis worth a p-value?"""


def _every(languages: LanguageGroups) -> tuple[str, ...]:
    return tuple(languages)


def _without_english(languages: LanguageGroups) -> tuple[str, ...]:
    if ENGLISH not in languages:
        return ()
    return tuple(label for label in languages if label not in {ENGLISH, "all", "high", "low"})


def _english_and_high(languages: LanguageGroups) -> tuple[str, ...]:
    return tuple(label for label in (ENGLISH, "high") if label in languages)


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
    """Treatment minus control: the gain of a score is the direct gain in "seen", the transfer gain in "unseen"."""
    reach = of.bounds[1] - of.bounds[0]
    return Comparison(
        name=name, estimand=of, operation=difference, labels=of.labels, bounds=(-reach, reach), tested=True
    )


RETENTION = Comparison(
    name="retention", estimand=_SCORE, operation=ratio, labels=_english_and_high, bounds=(0.0, np.inf), tested=False
)
"""What of the control's score is kept, m_treatment / m_control, in English and over the high-resource languages: 1 is
all of it, and what lacks to 1 is the interference of the languages that were added. Whether it differs from 1 is the
test of the gain. Work on forgetting takes the difference (backward transfer in D. Lopez-Paz and M. Ranzato 2017, arXiv
1706.08840), which is the gain in English here; a ratio lets models of different levels be compared."""

GAIN = _minus_control("gain", _SCORE)
COMPARISONS = (
    GAIN,
    _minus_control("relative_to_english_gain", _RELATIVE),
    _minus_control("seen_unseen_gap_gain", SEEN_UNSEEN_GAP),
    RETENTION,
)
