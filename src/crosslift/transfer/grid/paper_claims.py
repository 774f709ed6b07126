"""Findings of the two papers as claims that can be tested on any study of the same design.

A claim is a number that is positive if the finding holds, in the unit of the scores, with its interval over resampled
items; `answers.verdict` gives the verdict. Means are over the models and mixtures of the grid. P1 is arXiv 2604.13286,
P2 is arXiv 2504.16677.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import polars as pl

from crosslift.languages.language import language
from crosslift.scores import metric_range
from crosslift.transfer.answers import Answer, verdict
from crosslift.transfer.estimates.language_groups import ENGLISH
from crosslift.transfer.grid.bilingual import coverage_grid
from crosslift.transfer.grid.cells import Cells, IntervalEstimate
from crosslift.transfer.grid.doses import dose_series, mean_by_dose

EQUIVALENCE_MARGIN = 0.05
"""Zero-shot is equivalent to direct training if it is at most 5 points worse: 5 hundredths of the metric's range."""
EARLY_DOSE_SHARE = 0.1
"""Share of the largest dose at which P2 reports its plateaus (400 of 5,000)."""


def paper_claims(cells: Cells) -> list[Answer]:
    """Test all claims for which the study has the mixtures and languages, in the order of the papers.

    Args:
        cells: all cells of the study.
    """
    return [found for claim in CLAIMS for found in claim(cells)]


def _answer(*, claim: str, measure: str, about: str, interval: IntervalEstimate, metric: str) -> Answer:
    """A claim with its estimate and verdict, in the unit of a metric."""
    return Answer(
        question=claim,
        measure=measure,
        about=about,
        value=interval.value,
        low=interval.low,
        high=interval.high,
        verdict=verdict(interval.low, interval.high),
        metric=metric,
    )


def _size() -> pl.Expr:
    return pl.col("languages").list.len()


def _evaluations(cells: Cells) -> list[str]:
    return cells.table["evaluation"].unique(maintain_order=True).to_list()


def _tags(cells: Cells, resource: str) -> list[str]:
    return [tag for tag in cells.table["language"].unique() if language(tag).resource == resource]


def more_languages_help(cells: Cells) -> Iterator[Answer]:
    """P1, section 4.1: the mixtures with the most languages score higher than English-only."""
    for evaluation in _evaluations(grid := coverage_grid(cells)):
        part = grid.where(evaluation=evaluation)
        largest = int(part.table.select(_size().max()).item())
        if largest < 3:
            continue
        gain = part.where(_size() == largest).mean() - part.where(_size() == 1).mean()
        yield _answer(
            claim="More languages help",
            measure=f"mean score with {largest} languages minus English-only",
            about=evaluation,
            interval=part.interval(gain),
            metric=cells.metrics[evaluation],
        )


def low_resource_gain_most(cells: Cells) -> Iterator[Answer]:
    """P1, section 4.1: low-resource languages gain more than high-resource languages."""
    for evaluation in _evaluations(grid := coverage_grid(cells)):
        part = grid.where(evaluation=evaluation)
        largest = int(part.table.select(_size().max()).item())
        groups = [part.where(pl.col("language").is_in(_tags(part, resource))) for resource in ("low", "high")]
        if largest < 3 or any(group.table.is_empty() for group in groups):
            continue
        low, high = (g.where(_size() == largest).mean() - g.where(_size() == 1).mean() for g in groups)
        yield _answer(
            claim="Low-resource languages gain most",
            measure=f"gain of low- minus gain of high-resource languages, {largest} languages against English-only",
            about=evaluation,
            interval=part.interval(low - high),
            metric=cells.metrics[evaluation],
        )


def two_languages_beat_english(cells: Cells) -> Iterator[Answer]:
    """P1, section 4.2: bilingual mixtures score higher than English-only, averaged over all evaluation languages.

    Each family with both kinds of mixtures is tested; a family with a fixed total removes the effect of the data
    volume.
    """
    for evaluation, family, part in _with_bilingual(cells):
        yield _answer(
            claim="Two languages beat English alone",
            measure=f"all languages, bilingual minus English-only ({family})",
            about=evaluation,
            interval=part.interval(_bilingual_gain(part)),
            metric=cells.metrics[evaluation],
        )


def one_language_helps_english(cells: Cells) -> Iterator[Answer]:
    """P1, section 4.2: bilingual mixtures score higher than English-only in English."""
    for evaluation, family, part in _with_bilingual(cells):
        english = part.where(language=ENGLISH)
        if not english.table.is_empty():
            yield _answer(
                claim="One more language helps English",
                measure=f"English, bilingual minus English-only ({family})",
                about=evaluation,
                interval=english.interval(_bilingual_gain(english)),
                metric=cells.metrics[evaluation],
            )


def _with_bilingual(cells: Cells) -> Iterator[tuple[str, str, Cells]]:
    """Evaluation, family and cells of every family with English-only and bilingual mixtures."""
    table = cells.table.filter(pl.col("family") != "")
    for evaluation, family in table.select("evaluation", "family").unique(maintain_order=True).iter_rows():
        part = cells.where(pl.col("languages").list.contains(ENGLISH), evaluation=evaluation, family=family)
        if {1, 2} <= set(part.table["languages"].list.len()) and part.table["dose"].is_null().all():
            yield evaluation, family, part


def _bilingual_gain(part: Cells) -> np.ndarray:
    return np.asarray(part.where(_size() == 2).mean() - part.where(_size() == 1).mean())


def zero_shot_reaches_direct(cells: Cells) -> Iterator[Answer]:
    """P1, section 4.3, as an equivalence test: "not significantly worse" may also be due to a small test set."""
    for evaluation in _evaluations(grid := coverage_grid(cells)):
        part = grid.where(evaluation=evaluation)
        for resource in ("high", "low"):
            differences = []
            for tag in _tags(part, resource):
                here = part.where(language=tag)
                direct = here.where(_size() == 2, pl.col("languages").list.contains(tag))
                without = here.where(_size() > 2, ~pl.col("languages").list.contains(tag))
                if tag == ENGLISH or direct.table.is_empty() or without.table.is_empty():
                    continue
                largest = int(without.table.select(_size().max()).item())
                differences.append(without.where(_size() == largest).mean() - direct.mean())
            if differences:
                yield _answer(
                    claim=f"At high diversity, zero-shot reaches direct training ({resource}-resource)",
                    measure=f"zero-shot minus direct, plus a margin of {100 * EQUIVALENCE_MARGIN:.0f} points",
                    about=evaluation,
                    interval=part.interval(np.mean(differences, axis=0) + EQUIVALENCE_MARGIN * cells.width(evaluation)),
                    metric=cells.metrics[evaluation],
                )


def plateaus_differ(cells: Cells) -> Iterator[Answer]:
    """P2, section 4: math still gains at doses at which the other tasks have reached their plateau."""
    late: dict[tuple[str, str], list[tuple[str, np.ndarray]]] = {}
    for about, part, seen, unseen in dose_series(cells):
        found, means = mean_by_dose(part, [*seen, *unseen])
        early = [dose for dose in found if 0 < dose <= EARLY_DOSE_SHARE * found[-1]]
        if not early or len(set(part.table["setting"])) != 1 or "+" in part.table["setting"][0]:
            continue
        late.setdefault((about["model"], about["family"]), []).append(
            (about["evaluation"], (means[-1] - means[found.index(early[-1])]) / cells.width(about["evaluation"]))
        )
    for (model, family), gains in late.items():
        math = [gain for evaluation, gain in gains if _task(cells, evaluation) == "math"]
        others = [gain for evaluation, gain in gains if _task(cells, evaluation) != "math"]
        if len(math) == 1 and others:
            yield _answer(
                claim="Math gains for longer than the other tasks",
                measure=f"gain beyond a tenth of the largest dose, math minus the other tasks ({family})"
                + ("" if _one_unit(cells) else ", in hundredths of each metric's range"),
                about=model,
                interval=cells.interval(math[0] - np.mean(others, axis=0)),
                metric="",
            )


def _one_unit(cells: Cells) -> bool:
    return len({metric_range(metric) for metric in cells.metrics.values()}) == 1


def _task(cells: Cells, evaluation: str) -> str:
    return str(cells.table.filter(evaluation=evaluation)["task"][0])


def larger_models_have_smaller_gaps(cells: Cells) -> Iterator[Answer]:
    """P2, section 5: the seen-unseen gap, smallest model of a model family minus largest."""
    gaps: dict[tuple[str, str, str], list[tuple[int, str, np.ndarray]]] = {}
    for about, part, seen, unseen in dose_series(cells):
        if not seen or not unseen:
            continue
        trained = part.where(pl.col("dose") > 0)
        gap = (
            trained.where(pl.col("language").is_in(seen)).mean()
            - trained.where(pl.col("language").is_in(unseen)).mean()
        )
        key = about["evaluation"], about["family"], about["model"].split("-")[0]
        gaps.setdefault(key, []).append((part.table["num_parameters"][0] or 0, about["model"], gap))
    for (evaluation, family, _), found in gaps.items():
        if len(found) < 2:
            continue
        (_, small, wide), *_, (_, large, narrow) = sorted(found, key=lambda one: one[:2])
        yield _answer(
            claim="A larger model has a smaller seen-unseen gap",
            measure=f"gap of {small} minus gap of {large}, mean over doses ({family})",
            about=evaluation,
            interval=cells.where(evaluation=evaluation).interval(wide - narrow),
            metric=cells.metrics[evaluation],
        )


def multi_task_hurts_math(cells: Cells) -> Iterator[Answer]:
    """P2, section 4: math trained alone minus math trained with other tasks, averaged over the doses that both have."""
    math = cells.where(pl.col("dose") > 0, task="math")
    several = pl.col("setting").str.contains("+", literal=True)
    for evaluation, model in math.table.select("evaluation", "model").unique(maintain_order=True).iter_rows():
        part = math.where(evaluation=evaluation, model=model)
        together = part.where(several)
        if together.table.is_empty():
            continue
        trained = set(together.table["languages"].list.sort().list.join(" "))
        single = part.where(~several, pl.col("languages").list.sort().list.join(" ").is_in(list(trained)))
        shared = sorted(set(together.table["dose"]) & set(single.table["dose"]))
        if not shared:
            continue
        loss = [single.where(dose=dose).mean() - together.where(dose=dose).mean() for dose in shared]
        yield _answer(
            claim="Training on several tasks hurts math",
            measure=f"math alone minus math with other tasks, doses {', '.join(map(str, shared))}",
            about=f"{evaluation}, {model}",
            interval=part.interval(np.mean(loss, axis=0)),
            metric=cells.metrics[evaluation],
        )


def small_model_loses_again(cells: Cells) -> Iterator[Answer]:
    """P1, section 4.1: the smallest model scores higher with about half of the languages than with all of them."""
    for evaluation in _evaluations(grid := coverage_grid(cells)):
        part = grid.where(pl.col("num_parameters").is_not_null(), evaluation=evaluation)
        sizes = sorted(part.table["languages"].list.len().unique())
        middle = [size for size in sizes if 0.4 * sizes[-1] <= size <= 0.5 * sizes[-1]] if sizes else []
        if part.table["model"].n_unique() < 2 or not middle:
            continue
        model = part.table.sort("num_parameters", "model")["model"][0]
        here = part.where(model=model)
        yield _answer(
            claim="The smallest model loses again with the most languages",
            measure=f"{model}: mean score with {' and '.join(map(str, middle))} languages minus {sizes[-1]}",
            about=evaluation,
            interval=here.interval(here.where(_size().is_in(middle)).mean() - here.where(_size() == sizes[-1]).mean()),
            metric=cells.metrics[evaluation],
        )


def gaps_stay_open(cells: Cells) -> Iterator[Answer]:
    """P2, section 5: seen languages still score higher than unseen ones at the largest dose."""
    series = [one for one in dose_series(cells) if "+" not in one[1].table["setting"][0]]
    most = max((len(seen) for _, _, seen, _ in series), default=0)
    for about, part, seen, unseen in series:
        if len(seen) < most or not seen or not unseen:
            continue
        _, of_seen = mean_by_dose(part, seen)
        found, of_unseen = mean_by_dose(part, unseen)
        yield _answer(
            claim="The seen-unseen gap does not close with data",
            measure=f"seen minus unseen at a dose of {found[-1]} ({about['family']})",
            about=f"{about['evaluation']}, {about['model']}",
            interval=part.interval((of_seen - of_unseen)[-1]),
            metric=cells.metrics[about["evaluation"]],
        )


def other_scripts_need_their_own(cells: Cells) -> Iterator[Answer]:
    """P2, section 5: languages in other than Latin script need training data in such scripts (of math, they do not)."""
    found: dict[tuple[str, str], dict[bool, Cells]] = {}
    for about, part, seen, _ in dose_series(cells):
        latin = {language(tag).script == "Latn" for tag in seen}
        if len(latin) == 1 and "+" not in part.table["setting"][0]:
            found.setdefault((about["evaluation"], about["model"]), {})[latin.pop()] = part
    for (evaluation, model), parts in found.items():
        if len(parts) < 2:
            continue
        tags = [tag for tag in parts[True].table["language"].unique() if language(tag).script != "Latn"]
        doses = sorted((set(parts[True].table["dose"]) & set(parts[False].table["dose"])) - {0})
        if not tags or not doses:
            continue
        own, other = (
            parts[latin].where(pl.col("language").is_in(tags), pl.col("dose").is_in(doses)).mean()
            for latin in (False, True)
        )
        yield _answer(
            claim="Languages in other scripts need training data in other scripts",
            measure="languages in other than Latin script, trained on such languages minus trained on Latin ones",
            about=f"{evaluation}, {model}",
            interval=parts[True].interval(own - other),
            metric=cells.metrics[evaluation],
        )


CLAIMS: tuple[Callable[[Cells], Iterator[Answer]], ...] = (
    more_languages_help,
    low_resource_gain_most,
    two_languages_beat_english,
    one_language_helps_english,
    zero_shot_reaches_direct,
    small_model_loses_again,
    plateaus_differ,
    larger_models_have_smaller_gaps,
    gaps_stay_open,
    multi_task_hurts_math,
    other_scripts_need_their_own,
)
