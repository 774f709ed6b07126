"""Estimates of cross-lingual transfer with confidence intervals, for every estimand, condition and contrast."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import polars as pl

from crosslift.scores import scale
from crosslift.transfer.estimates.conditions import Condition, ResampledPanel, conditions
from crosslift.transfer.estimates.estimands import (
    COMPARISONS,
    ESTIMANDS,
    GAIN,
    SEEN_UNSEEN_GAP,
    Comparison,
    Estimand,
    LanguageGroups,
)
from crosslift.transfer.estimates.language_groups import language_groups
from crosslift.transfer.estimates.multiplicity import adjust
from crosslift.transfer.estimates.number import ResampledStatistic, linear_combination, resampled_statistic
from crosslift.transfer.estimates.panel import panels
from crosslift.transfer.estimates.statement import Statement, rows_of_statements

ESTIMATES = pl.Schema(
    {
        "estimand": pl.String,  # in estimands.py: "score", "gain", "relative_to_english", "seen_unseen_gap" ...
        "contrast": pl.String,  # label, "pocket-m: cov-en-sw - en"
        "declared": pl.String,  # name of the declared contrast; "" if the estimand has no control
        "primary": pl.Boolean,  # is this the primary estimate of its declared contrast?
        "model": pl.String,
        "mixture": pl.String,  # or "mean of 5" for the mean over the treatments of a contrast
        "control": pl.String,  # control mixture; "" if the estimand has none
        "setting": pl.String,
        "evaluation": pl.String,
        "task": pl.String,
        "metric": pl.String,
        "languages": pl.String,  # a tag, or a named group: "all", "non-English", "seen", "unseen", "high", "low"
        "value": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "level": pl.Float64,
        "num_items": pl.Int64,
        "num_clusters": pl.Int64,
        "num_seeds": pl.Int64,  # minimum over the trained conditions
        "p": pl.Float64,
        "p_adjusted": pl.Float64,
        "method": pl.String,
        "note": pl.String,  # the reason if value is null: "unseen: no such language", "3 errors: run again"
    }
)


class Contrast(Protocol):
    """A declared comparison of one or several treatment mixtures with one control (a mixture, or "base").

    A contrast has one estimate per model and evaluation: the mean over its treatments minus the control. For separate
    estimates, declare separate contrasts.
    """

    @property
    def name(self) -> str: ...
    @property
    def control(self) -> str: ...
    @property
    def treatments(self) -> Sequence[str]: ...
    @property
    def primary(self) -> bool: ...


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
    """Estimate every estimand with its confidence interval and p-value, or give the reason why it has no value.

    Each estimand is estimated for every condition, metric and group of languages, and compared with the control of
    every declared contrast: for each treatment, and for the mean over the treatments. The primary estimate of a
    contrast, per model and evaluation, is the gain over all languages in the evaluation's primary metric, averaged over
    its treatments.

    Args:
        scores: columns as in `crosslift.scores.SCORES`, rows in any order.
        runs: columns as in `crosslift.scores.RUNS`; runs with equal model and mixture are training seeds of one
            condition.
        contrasts: the declared contrasts. A control among its own treatments is skipped. Treatments and controls that
            were trained for different evaluations are compared in the evaluations they share.
        level: coverage of each single interval.
        num_resamples: bootstrap resamples.
        seed: of the resampling. Equal arguments give identical bytes.
        primary_metrics: evaluation -> primary metric; by default the first metric of the evaluation in `scores`.

    Returns:
        Columns as in ESTIMATES, in an order that depends only on the content of the arguments.

    Raises:
        TransferError: the tables are inconsistent, see `panel.panels`.
    """
    metrics = scores.select("evaluation", "metric").unique(maintain_order=True)
    primary = dict(reversed(metrics.rows())) | dict(primary_metrics or {})
    known = conditions(runs)
    rows: list[dict[str, Any]] = []
    for panel in panels(scores, runs):
        resampled = ResampledPanel(
            panel=panel, conditions=tuple(known.values()), num_resamples=num_resamples, seed=seed
        )
        rows += rows_of_statements(resampled, condition_statements(resampled), level=level)
        is_primary = primary[panel.evaluation] == panel.metric
        for contrast in contrasts:
            rows += rows_of_statements(
                resampled, contrast_statements(resampled, contrast, is_primary=is_primary), level=level
            )
    rows += _without_common_ground(known, contrasts, rows)
    return adjust(pl.DataFrame(rows, schema=ESTIMATES, infer_schema_length=None))


def condition_statements(resampled: ResampledPanel) -> Iterator[Statement]:
    """Yield every estimand of every condition of a panel."""
    for condition in resampled.evaluated_conditions:
        for estimand in ESTIMANDS:
            for label in estimand.labels(language_groups(resampled.panel.languages, condition.trained)):
                yield _statement(resampled, estimand, label, condition)


def contrast_statements(resampled: ResampledPanel, contrast: Contrast, *, is_primary: bool) -> Iterator[Statement]:
    """Each treatment minus the control, then the mean over the treatments minus the control, per model."""
    present = {condition.key: condition for condition in resampled.evaluated_conditions}
    for model in sorted({condition.model for condition in present.values()}):
        control = present.get((model, contrast.control))
        keys = [(model, name) for name in dict.fromkeys(contrast.treatments) if name != contrast.control]
        treatments = [present[key] for key in keys if key in present]
        if control is None or not treatments:
            continue
        for comparison in COMPARISONS:
            for label in comparison.labels(language_groups(resampled.panel.languages, ())):
                declared = contrast.primary and is_primary and comparison is GAIN and label == "all"
                single = declared and len(treatments) == 1
                each = [
                    compared(resampled, comparison, label, treatment, control, contrast=contrast, primary=single)
                    for treatment in treatments
                ]
                yield from each
                if len(each) > 1:
                    yield mean_of(each, contrast, primary=declared)


def _statement(resampled: ResampledPanel, estimand: Estimand, label: str, condition: Condition) -> Statement:
    """One estimand of one condition."""
    languages = language_groups(resampled.panel.languages, condition.trained)
    positions, reason = _common_ground(resampled, estimand, label, languages, [condition])
    statistic: ResampledStatistic | None = None
    if not reason:
        statistic = resampled_statistic(
            resampled, condition.key, lambda means: estimand.function(means, languages, label), linear=estimand.linear
        )
    return Statement(
        columns=_columns(condition, label)
        | {
            "estimand": estimand.name,
            "contrast": f"{condition.model}: {condition.mixture}",
            "num_seeds": _num_seeds([condition]),
        },
        statistic=statistic,
        unavailable_reason=reason,
        language_positions=positions,
        bounds=estimand.within(scale(resampled.panel.metric)),
        tested=estimand is SEEN_UNSEEN_GAP,
    )


def compared(
    resampled: ResampledPanel,
    comparison: Comparison,
    label: str,
    treatment: Condition,
    control: Condition,
    *,
    contrast: Contrast,
    primary: bool,
) -> Statement:
    """One comparison of a treatment with its control, both with the treatment's language groups."""
    languages = language_groups(resampled.panel.languages, treatment.trained)
    estimand = comparison.estimand
    positions, reason = _common_ground(resampled, estimand, label, languages, [treatment, control])
    statistic: ResampledStatistic | None = None
    if not reason:
        one, other = (
            resampled_statistic(
                resampled, side.key, lambda means: estimand.function(means, languages, label), linear=estimand.linear
            )
            for side in (treatment, control)
        )
        statistic = comparison.operation(one, other)
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
        statistic=statistic,
        unavailable_reason=reason,
        language_positions=positions,
        bounds=comparison.within(scale(resampled.panel.metric)),
        tested=comparison.tested,
    )


def _common_ground(
    resampled: ResampledPanel, estimand: Estimand, label: str, languages: LanguageGroups, sides: Sequence[Condition]
) -> tuple[np.ndarray, str]:
    """Positions of the languages that the estimand needs, and the reason why it has no value (empty if it has one)."""
    needed = estimand.required_groups(label)
    positions = np.unique(np.concatenate([languages[group] for group in needed]))
    if empty := [group for group in needed if len(languages[group]) == 0]:
        return positions, f"{empty[0]}: no such language"
    runs = [run for side in sides for run in resampled.run_positions[side.key]]
    return positions, resampled.panel.unavailable_reason(runs, positions)


def _columns(condition: Condition, label: str) -> dict[str, Any]:
    """Columns that conditions and comparisons have in common."""
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


def mean_of(statements: Sequence[Statement], contrast: Contrast, *, primary: bool) -> Statement:
    """The mean over the treatments of a contrast; null if any of them is null."""
    first = statements[0]
    problems = [
        f"{part.columns['mixture']}: {part.unavailable_reason}" for part in statements if part.unavailable_reason
    ]
    numbers = [part.statistic for part in statements if part.statistic is not None]
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
        statistic=linear_combination((1 / len(numbers), part) for part in numbers) if complete else None,
        unavailable_reason="; ".join(problems[:3]) + (f"; and {len(problems) - 3} more" if len(problems) > 3 else ""),
        language_positions=np.unique(np.concatenate([part.language_positions for part in statements])),
        bounds=first.bounds,
        tested=first.tested,
    )


def _without_common_ground(
    known: Mapping[tuple[str, str], Condition], contrasts: Sequence[Contrast], rows: Sequence[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """A null row for every declared contrast and model without an estimate, so that the table lists all declared
    contrasts."""
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
