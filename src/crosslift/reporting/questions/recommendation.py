"""The page of a recommendation, and the mixture in the format of a study file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from crosslift.recommendation.advice import Advice
from crosslift.recommendation.pattern import mixture_toml
from crosslift.recommendation.recommend import POINTS
from crosslift.recommendation.search import EQUIVALENCE_MARGIN
from crosslift.recommendation.summary import amounts_text, by_decreasing_amount
from crosslift.reporting.questions.page import PageHeader, write_page
from crosslift.studies.study import Study
from crosslift.system.files import write_text
from crosslift.transfer.answers import Analysis, Answer, Verdict, verdict


def write_recommendation(folder: Path, study: Study, advice: Advice) -> Path | None:
    """Write recommendation/index.html, its tables, and mixture.toml for a study file.

    Returns:
        The path of the page; None if there is no recommendation.
    """
    if (found := advice.recommendation) is None:
        return None
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
               runs=advice.runs)
        for tag, value in found.expected_by_language.items()
    ]  # fmt: skip
    answers.append(
        Answer(question="Expected objective", about=advice.model, measure="points",
               value=POINTS * found.expected_objective, low=POINTS * found.low, high=POINTS * found.high,
               runs=advice.runs, note="; ".join((*found.caveats, *advice.limits)))
    )  # fmt: skip
    if (one := advice.validation) is not None:
        answers.append(
            Answer(
                question="Can this model be believed for mixtures that it has not seen?", about="mixtures left out",
                measure="squared error saved, points squared", value=POINTS**2 * one.error_reduction[0],
                low=POINTS**2 * one.error_reduction[1], high=POINTS**2 * one.error_reduction[2], runs=advice.runs,
                verdict=verdict(one.error_reduction[1], one.error_reduction[2]),
                note=f"root mean squared error {POINTS * one.rmse_model:.1f}; mean of the others "
                f"{POINTS * one.rmse_mean:.1f}, nearest mixture {POINTS * one.rmse_nearest:.1f}",
            )
        )  # fmt: skip
    mixtures = [("recommended", found.amounts), *((one.name, dict(one.amounts)) for one in found.comparisons)]
    mixtures += [(f"next best {n}", amounts) for n, (amounts, _) in enumerate(found.alternatives, start=1)]
    mixtures += [(f"train next {n}", one.amounts) for n, one in enumerate(advice.worthwhile_runs, start=1)]
    rows: list[dict[str, Any]] = [
        {"mixture": name, "language": tag, "amount": amount}
        for name, amounts in mixtures
        for tag, amount in by_decreasing_amount(amounts)
    ]
    head = PageHeader(
        eyebrow="Recommendation",
        title=study.name,
        question=f"Which mixture with a budget of {advice.budget.amount:,.0f} for {advice.model}, evaluated by "
        f"{advice.evaluation}?",
        facts=[
            (f"{len(advice.runs)}", "observed runs"),
            (
                f"{found.probability_best:.2f}",
                f"probability of being within {POINTS * EQUIVALENCE_MARGIN:g} points of the best",
            ),
        ],
        files=[("../index.html", "the study's report"), ("mixture.toml", "the mixture, to paste into a study file")],
        runs_file="../../runs.parquet",
    )
    page = write_page(
        folder, head, [Analysis(kind="recommendation", answers=answers, tables={"amounts": pl.DataFrame(rows)})]
    )
    text = mixture_toml(study, advice.pattern, found.amounts, unit=advice.unit, model=advice.model)
    write_text(folder / "mixture.toml", text, durable=False)
    return page
