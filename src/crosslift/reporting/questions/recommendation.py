"""The page of a recommendation, and the mixture in the format of a study file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from crosslift.recommendation.advice import Advice
from crosslift.recommendation.explaining.explanation import Explanation
from crosslift.recommendation.pattern import mixture_toml
from crosslift.recommendation.recommend import POINTS, Recommendation
from crosslift.recommendation.search import EQUIVALENCE_MARGIN
from crosslift.recommendation.summary import amounts_text, by_decreasing_amount, change_text
from crosslift.reporting.figure import Figure
from crosslift.reporting.questions.figures import composition
from crosslift.reporting.questions.page import PageHeader, write_page
from crosslift.reporting.questions.recommendation_figures import change_figure, contribution_figure, front_figure
from crosslift.reporting.questions.recommendation_sections import sections_of
from crosslift.studies.study import Study
from crosslift.system.files import remove, write_text
from crosslift.transfer.answers import Analysis, Answer, Verdict, verdict

MIXTURE, AFTER_TRANSLATION = "mixture.toml", "mixture-after-translation.toml"
"""The mixture as a file; under the second name if the corpora do not hold all of it yet."""
CONTENTS = ("index.html", MIXTURE, AFTER_TRANSLATION, "answers.csv", "tables", "figures")
"""What a recommendation's folder contains."""


def write_recommendation(folder: Path, study: Study, advice: Advice) -> Path | None:
    """Write recommendation/index.html, its tables, and the mixture for a study file; without a recommendation, remove
    what an earlier one left there.

    Returns:
        The path of the page; None if there is no recommendation.
    """
    found, told = advice.recommendation, advice.explanation
    if found is None or told is None:
        for name in CONTENTS:
            remove(folder / name)
        return None
    tables = _tables(advice, found, told)
    drawings = _drawings(told, tables["amounts"])
    text = mixture_toml(study, advice.pattern, found.amounts, unit=advice.unit, model=advice.model)
    name = MIXTURE
    if missing := advice.to_translate:
        name = AFTER_TRANSLATION
        text = f"# Translate first: {amounts_text(missing)} {advice.unit}\n{text}"
    head = PageHeader(
        eyebrow="Recommendation",
        title=study.name,
        question=_asked(advice),
        facts=[
            (f"{len(advice.runs)}", "observed runs"),
            (
                f"{found.probability_best:.2f}",
                f"probability of being within {POINTS * EQUIVALENCE_MARGIN:g} points of the best",
            ),
        ],
        files=[
            ("../index.html", "the study's report"),
            (name, "the mixture, to paste into a study file"),
            ("question.toml", "what was asked, for --question"),
        ],
        runs_file="../../runs.parquet",
    )
    page = write_page(
        folder,
        head,
        [Analysis(kind="recommendation", answers=_answers(advice, found), tables=tables)],
        drawings=drawings,
        template="recommendation.html.jinja",
        values={"sections": sections_of(advice, found, told, text)},
    )
    write_text(folder / name, text, durable=False)
    remove(folder / (AFTER_TRANSLATION if name == MIXTURE else MIXTURE))
    _remove_earlier(folder, tables, {figure.name for figure in drawings})
    return page


def _asked(advice: Advice) -> str:
    """The question in one sentence."""
    asked = advice.question
    weights = (
        "" if len(asked.evaluations) == 1 else f" (weights {', '.join(f'{w:g}' for w in asked.evaluations.values())})"
    )
    text = f"Which mixture with a budget of {advice.budget.amount:,.0f} for {advice.model}, evaluated by "
    text += f"{advice.evaluation}{weights}"
    if asked.languages:
        text += f", of {', '.join(asked.languages)}"
    if asked.objective != "mean":
        text += f", for the {'lowest' if asked.objective == 'worst' else 'weighted'} score"
    if asked.floors:
        text += ", with " + " and ".join(f"{one.name} at least {one.minimum:g}" for one in asked.floors)
    return text + "?"


def _remove_earlier(folder: Path, tables: dict[str, pl.DataFrame], figures: set[str]) -> None:
    """Remove tables and figures of an earlier recommendation that this one does not have."""
    kept = {f"recommendation-0-{name}.csv" for name in tables} | {f"{name}.svg" for name in figures}
    for part in ("tables", "figures"):
        for file in (folder / part).glob("*"):
            if file.is_file() and not file.name.startswith(".") and file.name not in kept:
                remove(file)


def _answers(advice: Advice, found: Recommendation) -> list[Answer]:
    to_verdict: dict[str, Verdict] = {"better": "supported", "worse": "not supported"}
    answers = [
        Answer(
            question=f"The recommended mixture beats {one.name}", about=amounts_text(one.amounts),
            measure="difference in points", value=POINTS * one.value, low=POINTS * one.low, high=POINTS * one.high,
            verdict=to_verdict.get(one.verdict, "cannot tell"), runs=advice.runs,
            note="as good, within two points" if one.verdict == "as good" else "",
        )
        for one in found.comparisons
    ]  # fmt: skip
    answers += [
        Answer(question=f"Expected score in {tag}", about=advice.model, measure="points", value=POINTS * value,
               low=POINTS * found.limits_by_language[tag][0], high=POINTS * found.limits_by_language[tag][1],
               runs=advice.runs)
        for tag, value in found.expected_by_language.items()
    ]  # fmt: skip
    answers.append(
        Answer(question="Expected objective", about=advice.model, measure="points",
               value=POINTS * found.expected_objective, low=POINTS * found.low, high=POINTS * found.high,
               runs=advice.runs, note="; ".join((*found.caveats, *advice.limits)))
    )  # fmt: skip
    return answers + [
        Answer(
            question="Can this model be believed for mixtures that it has not seen?",
            about=f"mixtures left out, {name}" if len(advice.validations) > 1 else "mixtures left out",
            measure="squared error saved, points squared", value=POINTS**2 * one.error_reduction[0],
            low=POINTS**2 * one.error_reduction[1], high=POINTS**2 * one.error_reduction[2], runs=advice.runs,
            verdict=verdict(one.error_reduction[1], one.error_reduction[2]),
            note=f"root mean squared error {POINTS * one.rmse_model:.1f}; mean of the others "
            f"{POINTS * one.rmse_mean:.1f}, nearest mixture {POINTS * one.rmse_nearest:.1f}",
        )
        for name, one in advice.validations.items()
    ]  # fmt: skip


def _tables(advice: Advice, found: Recommendation, told: Explanation) -> dict[str, pl.DataFrame]:
    mixtures = [("recommended", found.amounts), *((one.name, dict(one.amounts)) for one in found.comparisons)]
    mixtures += [(f"next best {n}", amounts) for n, (amounts, _) in enumerate(found.alternatives, start=1)]
    mixtures += [(f"train next {n}", one.amounts) for n, one in enumerate(advice.worthwhile_runs, start=1)]
    amounts: list[dict[str, Any]] = [
        {"mixture": name, "language": tag, "amount": amount}
        for name, held in mixtures
        for tag, amount in by_decreasing_amount(held)
    ]
    contributed: list[dict[str, Any]] = [
        {"trained": one.language, "amount": one.amount, "evaluated": tag, "points": POINTS * effect.value,
         "low": POINTS * effect.low, "high": POINTS * effect.high}
        for one in told.contributions
        for tag, effect in (("objective", one.objective), *one.by_language.items())
    ]  # fmt: skip
    changed: list[dict[str, Any]] = [
        {"constraint": one.constraint, "change": one.change, "with": change_text(one),
         "mixture": amounts_text(one.amounts or {}), "reason": one.reason,
         "points": POINTS * one.effect.value if one.effect else None,
         "low": POINTS * one.effect.low if one.effect else None,
         "high": POINTS * one.effect.high if one.effect else None, "exchanged": one.exchanged, "cost": one.cost}
        for one in told.changes
    ]  # fmt: skip
    tables = {"amounts": amounts, "contributions": contributed, "changes": changed}
    if told.front is not None:
        tables["front"] = [
            {"mixture": amounts_text(one.amounts), told.front.names[0]: POINTS * one.first.value,
             told.front.names[1]: POINTS * one.second.value, "on_front": one.on_front, "recommended": one.recommended}
            for one in told.front.points
        ]  # fmt: skip
    return {name: pl.DataFrame(rows, infer_schema_length=None) for name, rows in tables.items() if rows}


def _drawings(told: Explanation, amounts: pl.DataFrame) -> list[Figure]:
    found = [composition(amounts), contribution_figure(told.contributions)]
    if (changes := change_figure(told.changes)) is not None:
        found.append(changes)
    if told.front is not None and len(told.front.points) > 1:
        found.append(front_figure(told.front))
    return found
