"""What can be said about cross-lingual transfer, each as one function of a condition's mean scores per language.

A condition is a model trained on a mixture (or the untouched base model); its mean score in a language is the mean over
items and training seeds. A function here gets such means for many columns at once, shape (languages, columns): column 0
of a call may be the observed means and the rest resampled ones, or the columns may be runs or clusters. The interval of
an estimand therefore needs no code of its own, and a new estimand is a new function and a line in ESTIMANDS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from crosslift.transfer.conditions import Condition, Resampled, conditions
from crosslift.transfer.estimate import ESTIMATES, Contrast
from crosslift.transfer.groups import ENGLISH, groups
from crosslift.transfer.multiplicity import adjust
from crosslift.transfer.number import Number, combine, difference, number, ratio
from crosslift.transfer.panel import panels
from crosslift.transfer.statement import Statement, conclude

Groups = Mapping[str, np.ndarray]
"""Label -> positions of the languages, see `groups.groups`."""


def score(means: np.ndarray, languages: Groups, label: str) -> np.ndarray:
    """Mean score over the languages of a group: sum_l m_l / |group|.

    arXiv 2604.13286 plots it for high- and low-resource languages; over "non-English" it is the average of arXiv
    2504.16677.
    """
    return np.asarray(means[languages[label]].mean(axis=0))


def relative_to_english(means: np.ndarray, languages: Groups, label: str) -> np.ndarray:
    """Mean score over the languages of a group, divided by English of the same runs: mean_l m_l / m_en.

    1 means as good as English. arXiv 2504.16677 reports it for the non-English languages. It rises when English falls,
    so it never stands without the scores. NaN where English scores 0.
    """
    english = means[languages[ENGLISH][0]]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(english > 0, score(means, languages, label) / english, np.nan)


def seen_unseen_gap(means: np.ndarray, languages: Groups, label: str) -> np.ndarray:
    """Mean over the languages trained on minus mean over those not trained on, English in neither.

    sum_{l seen} m_l / |seen| - sum_{l unseen} m_l / |unseen|; arXiv 2504.16677, section 5. The two sides are different
    languages: part of the gap is there before any training, which `seen_unseen_gap_gain` takes out.
    """
    return np.asarray(score(means, languages, "seen") - score(means, languages, "unseen"))


@dataclass(frozen=True, kw_only=True)
class Estimand:
    """How a function of one condition's means is reported."""

    function: Callable[[np.ndarray, Groups, str], np.ndarray]
    labels: Callable[[Groups], tuple[str, ...]]
    needs: Callable[[str], tuple[str, ...]]
    """Groups that must not be empty, given a label."""
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
    of: Estimand
    by: Callable[[Number, Number], Number]
    labels: Callable[[Groups], tuple[str, ...]]
    bounds: tuple[float, float]
    tested: bool
    """Is 0 a hypothesis worth a p-value?"""


def _every(languages: Groups) -> tuple[str, ...]:
    return tuple(languages)


def _without_english(languages: Groups) -> tuple[str, ...]:
    if ENGLISH not in languages:
        return ()
    return tuple(label for label in languages if label not in {ENGLISH, "all", "high", "low"})


def _english_and_high(languages: Groups) -> tuple[str, ...]:
    return tuple(label for label in (ENGLISH, "high") if label in languages)


SEEN_AND_UNSEEN = "seen - unseen"

_SCORE = Estimand(function=score, labels=_every, needs=lambda label: (label,), linear=True, bounds=(0.0, 1.0))
_RELATIVE = Estimand(
    function=relative_to_english,
    labels=_without_english,
    needs=lambda label: (label, ENGLISH),
    linear=False,
    bounds=(0.0, np.inf),
)
_GAP = Estimand(
    function=seen_unseen_gap,
    labels=lambda languages: (SEEN_AND_UNSEEN,),
    needs=lambda label: ("seen", "unseen"),
    linear=True,
    bounds=(-1.0, 1.0),
)
ESTIMANDS = (_SCORE, _RELATIVE, _GAP)


def _minus_control(name: str, of: Estimand) -> Comparison:
    """Treatment minus control: the gain of a score is the direct gain in "seen", the transfer gain in "unseen"."""
    reach = of.bounds[1] - of.bounds[0]
    return Comparison(name=name, of=of, by=difference, labels=of.labels, bounds=(-reach, reach), tested=True)


RETENTION = Comparison(
    name="retention", of=_SCORE, by=ratio, labels=_english_and_high, bounds=(0.0, np.inf), tested=False
)
"""What of the control's score is kept, m_treatment / m_control, in English and over the high-resource languages: 1 is
all of it, and what lacks to 1 is the interference of the languages that were added. Whether it differs from 1 is the
test of the gain. The ratio to a baseline is how forgetting is told (D. Lopez-Paz and M. Ranzato 2017, Gradient Episodic
Memory, arXiv 1706.08840, as a difference)."""

COMPARISONS = (
    _minus_control("gain", _SCORE),
    _minus_control("relative_to_english_gain", _RELATIVE),
    _minus_control("seen_unseen_gap_gain", _GAP),
    RETENTION,
)


def estimate(
    scores: pl.DataFrame,
    runs: pl.DataFrame,
    contrasts: Sequence[Contrast],
    *,
    level: float = 0.95,
    num_resamples: int = 2000,
    seed: int = 0,
    primary_metrics: Mapping[str, str] | None = None,
) -> pl.DataFrame:
    """Everything that can be estimated, with intervals, p-values, and reasons where a number cannot be given.

    Every estimand for every condition, metric and group of languages; then the same against the control of every
    declared contrast, for each treatment and for the mean over a contrast's treatments. What a contrast was declared
    for is one number per model and evaluation: the gain over all languages in the task's primary metric, mean over
    its treatments.

    Args:
        scores: `crosslift.scores.SCORES`, in any order.
        runs: `crosslift.scores.RUNS`; runs of one model and mixture are its training seeds.
        contrasts: a control among its own treatments is left out; a treatment and a control that were trained for
            different evaluations are compared where both were evaluated.
        level: of the intervals, each by itself.
        num_resamples: of the bootstrap.
        seed: of the resampling. Equal arguments give equal bytes.
        primary_metrics: task -> metric; for a task that is not in it, the first metric that stands in `scores`.

    Returns:
        ESTIMATES, in an order that depends on the arguments' content only.

    Raises:
        TransferError: the tables contradict themselves, see `panel.panels`.
    """
    metrics = scores.select("task", "metric").unique(maintain_order=True)
    primary = dict(reversed(metrics.rows())) | dict(primary_metrics or {})
    known = conditions(runs)
    rows: list[dict[str, Any]] = []
    for panel in panels(scores, runs):
        resampled = Resampled(panel=panel, conditions=tuple(known.values()), num_resamples=num_resamples, seed=seed)
        rows += conclude(resampled, _of_conditions(resampled), level=level)
        is_primary = primary[panel.task] == panel.metric
        for contrast in contrasts:
            rows += conclude(resampled, _of_contrast(resampled, contrast, is_primary=is_primary), level=level)
    rows += _without_common_ground(known, contrasts, rows)
    return adjust(pl.DataFrame(rows, schema=ESTIMATES, infer_schema_length=None))


def _of_conditions(resampled: Resampled) -> Iterator[Statement]:
    for condition in resampled.present:
        for estimand in ESTIMANDS:
            for label in estimand.labels(groups(resampled.panel.languages, condition.trained)):
                yield _statement(resampled, estimand, label, condition)


def _of_contrast(resampled: Resampled, contrast: Contrast, *, is_primary: bool) -> Iterator[Statement]:
    """Each treatment minus the control, then the mean over treatments minus the control, per model."""
    present = {condition.key: condition for condition in resampled.present}
    for model in sorted({condition.model for condition in present.values()}):
        control = present.get((model, contrast.control))
        keys = [(model, name) for name in dict.fromkeys(contrast.treatments) if name != contrast.control]
        treatments = [present[key] for key in keys if key in present]
        if control is None or not treatments:
            continue
        for comparison in COMPARISONS:
            for label in comparison.labels(groups(resampled.panel.languages, ())):
                declared = contrast.primary and is_primary and comparison is COMPARISONS[0] and label == "all"
                single = declared and len(treatments) == 1
                each = [
                    _compared(resampled, comparison, label, treatment, control, contrast=contrast, primary=single)
                    for treatment in treatments
                ]
                yield from each
                if len(each) > 1:
                    yield _mean_of(each, contrast, primary=declared)


def _statement(resampled: Resampled, estimand: Estimand, label: str, condition: Condition) -> Statement:
    """One estimand of one condition."""
    languages = groups(resampled.panel.languages, condition.trained)
    positions, problem = _common_ground(resampled, estimand, label, languages, [condition])
    made: Number | None = None
    if not problem:
        made = number(
            resampled, condition.key, lambda means: estimand.function(means, languages, label), linear=estimand.linear
        )
    return Statement(
        columns=_columns(condition, label)
        | {
            "estimand": estimand.name,
            "contrast": f"{condition.model}: {condition.mixture}",
            "num_seeds": _num_seeds([condition]),
        },
        number=made,
        problem=problem,
        positions=positions,
        bounds=estimand.bounds,
        tested=estimand is _GAP,
    )


def _compared(
    resampled: Resampled,
    comparison: Comparison,
    label: str,
    treatment: Condition,
    control: Condition,
    *,
    contrast: Contrast,
    primary: bool,
) -> Statement:
    """One comparison of a treatment with its control; both sides by the treatment's groups."""
    languages = groups(resampled.panel.languages, treatment.trained)
    estimand = comparison.of
    positions, problem = _common_ground(resampled, estimand, label, languages, [treatment, control])
    made: Number | None = None
    if not problem:
        one, other = (
            number(
                resampled, side.key, lambda means: estimand.function(means, languages, label), linear=estimand.linear
            )
            for side in (treatment, control)
        )
        made = comparison.by(one, other)
    return Statement(
        columns=_columns(treatment, label)
        | {
            "estimand": comparison.name,
            "contrast": f"{treatment.model}: {treatment.mixture} - {control.mixture}",
            "declared": contrast.name,
            "primary": primary,
            "control": control.mixture,
            "num_seeds": _num_seeds([treatment, control]),
        },
        number=made,
        problem=problem,
        positions=positions,
        bounds=comparison.bounds,
        tested=comparison.tested,
    )


def _common_ground(
    resampled: Resampled, estimand: Estimand, label: str, languages: Groups, sides: Sequence[Condition]
) -> tuple[np.ndarray, str]:
    """Positions of the languages that the estimand needs, and why it cannot be given, or ""."""
    needed = estimand.needs(label)
    positions = np.unique(np.concatenate([languages[group] for group in needed]))
    if empty := [group for group in needed if len(languages[group]) == 0]:
        return positions, f"{empty[0]}: no such language"
    runs = [run for side in sides for run in resampled.run_positions[side.key]]
    return positions, resampled.panel.problem(runs, positions)


def _columns(condition: Condition, label: str) -> dict[str, Any]:
    """What is the same with a control and without."""
    return {
        "declared": "",
        "primary": False,
        "model": condition.model,
        "mixture": condition.mixture,
        "control": "",
        "setting": condition.setting,
        "languages": label,
    }


def _num_seeds(sides: Sequence[Condition]) -> int:
    return min((len(side.runs) for side in sides if not side.is_base), default=1)


def _mean_of(statements: Sequence[Statement], contrast: Contrast, *, primary: bool) -> Statement:
    """The mean over the treatments of a contrast; null as soon as one of them is."""
    first = statements[0]
    problems = [f"{part.columns['mixture']}: {part.problem}" for part in statements if part.problem]
    numbers = [part.number for part in statements if part.number is not None]
    complete = len(numbers) == len(statements)
    settings = {part.columns["setting"] for part in statements}
    return Statement(
        columns=first.columns
        | {
            "contrast": f"{first.columns['model']}: {contrast.name}",
            "primary": primary,
            "mixture": f"mean of {len(statements)}",
            "setting": settings.pop() if len(settings) == 1 else "",
            "num_seeds": min(part.columns["num_seeds"] for part in statements),
        },
        number=combine((1 / len(numbers), part) for part in numbers) if complete else None,
        problem="; ".join(problems[:3]) + (f"; and {len(problems) - 3} more" if len(problems) > 3 else ""),
        positions=np.unique(np.concatenate([part.positions for part in statements])),
        bounds=first.bounds,
        tested=first.tested,
    )


def _without_common_ground(
    known: Mapping[tuple[str, str], Condition], contrasts: Sequence[Contrast], rows: Sequence[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """A null row for every declared contrast of a model of which nothing could be said, so that it is not forgotten."""
    stated = {(row["model"], row["declared"]) for row in rows}
    for contrast in contrasts:
        for model in sorted({model for model, _ in known}):
            if (model, contrast.name) in stated:
                continue
            lacking = [name for name in (contrast.control, *contrast.treatments) if (model, name) not in known]
            why = f"no run of {', '.join(lacking)}" if lacking else "no evaluation that treatment and control share"
            yield {
                "estimand": "gain",
                "contrast": f"{model}: {contrast.name}",
                "declared": contrast.name,
                "primary": contrast.primary,
                "model": model,
                "mixture": ", ".join(contrast.treatments),
                "control": contrast.control,
                "languages": "all",
                "method": "",
                "note": why,
            }
