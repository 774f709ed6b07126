"""The page of a recommendation, and the mixture as a table to paste into a study file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from crosslift.files import write_text
from crosslift.recommendation.advice import POINTS, Advice, amounts_in_words, largest_first
from crosslift.reporting.questions.page import PageHeader, write_page
from crosslift.studies.study import Study
from crosslift.transfer.answers import Analysis, Answer, Verdict, verdict


def write_recommendation(folder: Path, study: Study, advised: Advice) -> Path | None:
    """recommendation/index.html and a [mixtures] table to paste into a study file; returns the page, None without."""
    if (found := advised.found) is None:
        return None
    to_verdict: dict[str, Verdict] = {"better": "supported", "worse": "not supported"}
    answers = [
        Answer(
            question=f"The recommended mixture beats {one.name}", about=amounts_in_words(one.amounts),
            measure="difference in points", value=POINTS * one.value, low=POINTS * one.low, high=POINTS * one.high,
            verdict=to_verdict.get(one.verdict, "cannot tell"), runs=advised.runs,
            note="as good, within two points" if one.verdict == "as good" else "",
        )
        for one in found.against
    ]  # fmt: skip
    answers += [
        Answer(question=f"Expected score in {tag}", about=advised.model, measure="points", value=POINTS * value,
               runs=advised.runs)
        for tag, value in found.expected_by_language.items()
    ]  # fmt: skip
    answers.append(
        Answer(question="Expected objective", about=advised.model, measure="points", value=POINTS * found.expected,
               low=POINTS * found.low, high=POINTS * found.high, runs=advised.runs, note="; ".join(found.reasons))
    )  # fmt: skip
    if (one := advised.validation) is not None:
        answers.append(
            Answer(
                question="Can this model be believed for mixtures that it has not seen?", about="mixtures left out",
                measure="squared error saved, points squared", value=POINTS**2 * one.better[0],
                low=POINTS**2 * one.better[1], high=POINTS**2 * one.better[2], runs=advised.runs,
                verdict=verdict(one.better[1], one.better[2]),
                note=f"root mean squared error {POINTS * one.model:.1f}; mean of the others {POINTS * one.mean:.1f}, "
                f"nearest mixture {POINTS * one.nearest:.1f}",
            )
        )  # fmt: skip
    mixtures = [("recommended", found.amounts), *((one.name, dict(one.amounts)) for one in found.against)]
    mixtures += [(f"next best {n}", amounts) for n, (amounts, _) in enumerate(found.alternatives, start=1)]
    mixtures += [(f"train next {n}", one.amounts) for n, one in enumerate(advised.worthwhile_runs, start=1)]
    rows: list[dict[str, Any]] = [
        {"mixture": name, "language": tag, "amount": amount}
        for name, amounts in mixtures
        for tag, amount in largest_first(amounts)
    ]
    head = PageHeader(
        eyebrow="Recommendation",
        title=study.name,
        question=f"Which mixture of {advised.budget.amount:,.0f} for {advised.model}, judged by {advised.evaluation}?",
        facts=[
            (f"{len(advised.runs)}", "runs behind it"),
            (f"{found.p_best:.2f}", "probability of being best or as good"),
        ],
        files=[("../index.html", "the study's report"), ("mixture.toml", "the mixture, to paste into a study file")],
        runs_file="../../runs.parquet",
    )
    counts = ", ".join(f"{tag} = {round(amount)}" for tag, amount in largest_first(found.amounts))
    page = write_page(
        folder, head, [Analysis(kind="recommendation", answers=answers, tables={"amounts": pl.DataFrame(rows)})]
    )
    corpus = next(iter(study.corpora))
    text = (
        f'[mixtures.recommended]\ncomponents = [{{ corpus = "{corpus}", counts = {{ {counts} }} }}]\n'
        'pairing = "shared"\n'
    )
    write_text(folder / "mixture.toml", text, durable=False)
    return page
