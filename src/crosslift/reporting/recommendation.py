"""From the finished runs of a study to a mixture that can be trained, with its reasons and how sure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from crosslift.discover import member
from crosslift.errors import TransferError, did_you_mean
from crosslift.reporting.questions.answer import Analysed, Answer, Verdict, sign_verdict
from crosslift.reporting.questions.page import Head, write_page
from crosslift.transfer.observe import observe
from crosslift.transfer.predict import fit_transfer
from crosslift.transfer.recommend import Budget, Objective, Recommendation, all_sorts, next_batch, recommend
from crosslift.transfer.validate import Validation, validate

if TYPE_CHECKING:
    from crosslift.execution.store import Store
    from crosslift.studies.study import Study

POINTS = 100.0
LITTLE = 0.0005
"""An expected gain that is not worth a run."""
NUM_SORTS = 60
"""Random mixtures that a next run is chosen from, beside the leaders."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is wanted. What is None or empty is taken from the study."""

    evaluation: str | None = None
    model: str | None = None
    amount: float | None = None
    """To spend; None: as much as the largest mixture holds."""
    unit: Literal["items", "tokens"] = "items"
    languages: Sequence[str] = ()
    costs: Mapping[str, float] = field(default_factory=dict)
    objective: Literal["mean", "worst", "weighted"] = "mean"
    weights: Mapping[str, float] = field(default_factory=dict)
    english_at_least: float | None = None
    num_next: int = 0
    """Runs to propose for learning more."""


@dataclass(frozen=True, kw_only=True)
class Advised:
    """A recommendation with everything that it stands on."""

    evaluation: str
    model: str
    budget: Budget
    objective: Objective
    found: Recommendation
    validation: Validation | None
    next_runs: list[tuple[dict[str, float], float]]
    runs: list[str]


def advise(store: Store, study: Study, wish: Wish) -> Advised:
    """Fit the transfer model to what is finished, validate it, and recommend.

    Raises:
        TransferError: nothing is finished, or the wish names what the study does not have.
    """
    cells = _cells(store, study, wish)
    observed = observe(cells)
    model = _chosen("model", wish.model, list(dict.fromkeys(cells["model"])))
    fitted = fit_transfer(observed)
    tags = tuple(wish.languages) or tuple(
        dict.fromkeys(tag for amounts in observed.amounts.values() for tag in sorted(amounts))
    )
    largest = max(sum(observed.amounts[name].values()) for name in set(observed.mixtures))
    budget = Budget(amount=wish.amount or largest, languages=tags, costs=dict(wish.costs))
    evaluated = tuple(sorted(set(cells["language"])))
    objective = Objective(
        languages=evaluated, kind=wish.objective, weights=wish.weights, english_at_least=wish.english_at_least
    )
    found = recommend(fitted, model, objective, budget)
    runs = all_sorts(budget, NUM_SORTS)
    leaders = [found.amounts, *(amounts for amounts, _ in found.alternatives), *(one.amounts for one in found.against)]
    pool = [*leaders, *runs]
    next_runs = [
        (dict(pool[place]), gain) for place, gain in next_batch(fitted, model, objective, pool, size=wish.num_next)
    ]
    num_mixtures = len(set(observed.mixtures))
    return Advised(
        evaluation=str(cells["evaluation"][0]),
        model=model,
        budget=budget,
        objective=objective,
        found=found,
        validation=validate(observed) if num_mixtures >= 4 else None,
        next_runs=next_runs,
        runs=sorted(set(observed.runs[observed.models == model])),
    )


def _cells(store: Store, study: Study, wish: Wish) -> pl.DataFrame:
    scores, runs = store.scores(), store.runs()
    if scores.is_empty():
        raise TransferError("nothing has been evaluated yet. Run: crosslift run")
    evaluation = _chosen("evaluation", wish.evaluation, list(study.evaluations))
    metric = member("task", study.evaluations[evaluation].task).METRICS[0]
    part = scores.filter(evaluation=evaluation, metric=metric).filter(pl.col("status") != "error")
    means = part.group_by("run", "evaluation", "language", maintain_order=True).agg(pl.col("value").mean())
    amounts = pl.col("num_items" if wish.unit == "items" else "num_tokens").alias("amounts")
    facts = ["run", "model", "mixture", "languages", "num_parameters"]
    if wish.unit == "items":
        facts.append("num_tokens")
    cells = means.join(runs.select(*facts, amounts), on="run", maintain_order="left")
    return cells.filter(pl.col("mixture") != "base")


def _chosen(kind: str, wanted: str | None, known: list[str]) -> str:
    if wanted is None:
        if len(known) != 1:
            raise TransferError(f"there are several {kind}s: {', '.join(known)}. Name one: --{kind}")
        return known[0]
    if wanted not in known:
        raise TransferError(f"'{wanted}' is no {kind} here.{did_you_mean(wanted, known)} Known: {', '.join(known)}.")
    return wanted


def in_words(advised: Advised) -> list[str]:
    """For the terminal."""
    found = advised.found
    lines = [
        f"{advised.model}, {advised.evaluation}, {advised.objective.kind} over {len(advised.objective.languages)} "
        f"languages, {advised.budget.amount:,.0f} to spend:",
        "  " + ", ".join(f"{tag} {amount:,.0f}" for tag, amount in _sorted(found.amounts)),
        f"  expected {POINTS * found.expected:.1f} [{POINTS * found.low:.1f}, {POINTS * found.high:.1f}], best or as "
        f"good with probability {found.p_best:.2f}",
    ]
    for other in found.against:
        interval = f"[{POINTS * other.low:.1f}, {POINTS * other.high:.1f}]"
        lines.append(f"  against {other.name}: {POINTS * other.value:+.1f} {interval} -> {other.verdict}")
    lines += [f"  {reason}" for reason in found.reasons]
    if advised.validation is not None:
        one = advised.validation
        lines.append(
            f"  mixtures left out one by one: error {POINTS * one.model:.1f} points, mean of the others "
            f"{POINTS * one.mean:.1f}, nearest {POINTS * one.nearest:.1f}"
        )
    if advised.next_runs and advised.next_runs[0][1] < LITTLE:
        lines.append(f"  no further run is expected to better the choice by more than {POINTS * LITTLE:g} points")
    for number, (amounts, gain) in enumerate(advised.next_runs, start=1):
        lines.append(f"  to learn most, train {number}: {_short(amounts)} (expected gain {POINTS * gain:.2f} points)")
    return lines


def write(folder: Path, study: Study, advised: Advised) -> Path:
    """recommendation/index.html and a [mixtures] table to paste into a study file; returns the page."""
    found = advised.found
    to_verdict: dict[str, Verdict] = {"better": "supported", "worse": "not supported"}
    answers = [
        Answer(
            question=f"The recommended mixture beats {one.name}", about=_short(one.amounts),
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
                verdict=sign_verdict(one.better[1], one.better[2]),
                note=f"root mean squared error {POINTS * one.model:.1f}; mean of the others {POINTS * one.mean:.1f}, "
                f"nearest mixture {POINTS * one.nearest:.1f}",
            )
        )  # fmt: skip
    mixtures = [("recommended", found.amounts), *((one.name, dict(one.amounts)) for one in found.against)]
    mixtures += [(f"next best {n}", amounts) for n, (amounts, _) in enumerate(found.alternatives, start=1)]
    mixtures += [(f"train next {n}", amounts) for n, (amounts, _) in enumerate(advised.next_runs, start=1)]
    rows: list[dict[str, Any]] = [
        {"mixture": name, "language": tag, "amount": amount}
        for name, amounts in mixtures
        for tag, amount in _sorted(amounts)
    ]
    head = Head(
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
    counts = ", ".join(f"{tag} = {round(amount)}" for tag, amount in _sorted(found.amounts))
    page = write_page(
        folder, head, [Analysed(kind="recommendation", answers=answers, tables={"amounts": pl.DataFrame(rows)})]
    )
    corpus = next(iter(study.corpora))
    text = (
        f'[mixtures.recommended]\ncomponents = [{{ corpus = "{corpus}", counts = {{ {counts} }} }}]\n'
        'pairing = "shared"\n'
    )
    (folder / "mixture.toml").write_text(text, encoding="utf-8")
    return page


def _sorted(amounts: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(((tag, amount) for tag, amount in amounts.items() if round(amount) > 0), key=lambda one: -one[1])


def _short(amounts: Mapping[str, float]) -> str:
    return " ".join(f"{tag} {amount:,.0f}" for tag, amount in _sorted(amounts))
