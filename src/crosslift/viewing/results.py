"""What the page shows of one run: the means of its finished evaluations, and its details on demand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosslift.errors import CrossliftError, StoreError
from crosslift.execution.folder.progress import Progress, read_progress
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.steps import EvaluationStep
from crosslift.execution.folder.tables import read_step_table
from crosslift.scores import MODEL_FAILURES, PREDICTION_TABLES, SCORES
from crosslift.studies.evaluation import primary_metric

if TYPE_CHECKING:
    import polars as pl

MAX_TEXT = 2000
"""Characters of a prompt or an answer that the page shows."""
LOG_BYTES = 4000
"""Bytes from the end of log.txt that the page shows."""


@dataclass(frozen=True, kw_only=True)
class EvaluationResult:
    """One finished evaluation of a run in one language."""

    evaluation: str
    language: str
    fingerprint: str
    """Fingerprint of the scores, from the done-marker."""
    mean: float | None
    """Mean of the task's primary metric, 0 to 1; None if a sample failed with a program error."""
    num_answers: int
    counts: dict[str, int] = field(default_factory=dict)
    """Status of `scores.STATUSES` -> answers."""


def read_results(
    graph: StepGraph, run: str, known: Mapping[tuple[str, str], EvaluationResult]
) -> dict[tuple[str, str], EvaluationResult]:
    """Read the finished evaluations of a run; damaged ones are missing.

    Args:
        graph: the steps of the study.
        run: the run.
        known: results read before; those with the same fingerprint are not read again.

    Returns:
        (evaluation, language) -> result.
    """
    found = {}
    try:
        state = graph.state(graph.runs[run])
    except CrossliftError:
        return {}
    for one in state.steps.evaluations:
        key = (one.evaluation.name, one.language)
        outputs = state.results.get(key)
        if outputs is None:
            continue
        before = known.get(key)
        if before is not None and before.fingerprint == outputs["scores"]:
            found[key] = before
            continue
        try:
            found[key] = _read(one, str(outputs["scores"]))
        except StoreError:  # damaged, or being written again
            continue
    return found


def _read(one: EvaluationStep, fingerprint: str) -> EvaluationResult:
    rows = read_step_table(one.step.folder, "scores.parquet", SCORES)
    rows = rows.filter(metric=_metric(one, rows))
    return EvaluationResult(
        evaluation=one.evaluation.name,
        language=one.language,
        fingerprint=fingerprint,
        mean=None if rows["value"].has_nulls() else finite(rows["value"].mean()),
        num_answers=rows.height,
        counts=dict(rows["status"].value_counts(sort=True).iter_rows()),
    )


def _metric(one: EvaluationStep, scores: pl.DataFrame) -> str:
    """The metric that the page shows: the primary one, or that of the task until a judge has rated."""
    return primary_metric(one.evaluation, one.evaluation.task, scores["metric"].unique().to_list())


def details(graph: StepGraph, run: str) -> dict[str, Any]:
    """What the page shows when a run is opened.

    Args:
        graph: the steps of the study.
        run: the run.

    Returns:
        "curve": as in `Progress.curve`; "error": message of a failure, or None; "log": end of log.txt; "samples": the
        first answer of each failure and the first wrong and correct one, with kind, evaluation, language, prompt,
        text and expected answer.
    """
    folder = graph.store.run_folder(run)
    progress = read_progress(folder)
    failure = graph.store.error(run)
    return {
        "run": run,
        "curve": {name: [finite(loss) for loss in losses] for name, losses in _curve(graph, run, progress).items()},
        "error": None if failure is None else f"{failure['error']}: {failure['message']}",
        "log": _log(folder / "log.txt"),
        "samples": _samples(graph, run),
    }


def _curve(graph: StepGraph, run: str, progress: Progress | None) -> dict[str, list[float | None]]:
    """The losses that a worker reported while it trained, else those of the finished training."""
    if progress is not None and progress.curve:
        return progress.curve
    try:
        rows = graph.store.training_metrics(run).filter(split="train", task="all")
    except StoreError:
        return {}
    table = rows.pivot("language", index="step", values="loss").sort("step")
    return table.to_dict(as_series=False)


def _samples(graph: StepGraph, run: str) -> list[dict[str, Any]]:
    """The first answer of each kind, over the evaluations and languages in their order."""
    import polars as pl

    kinds = ("wrong", *MODEL_FAILURES, "error", "correct")
    found: dict[str, dict[str, Any]] = {}
    try:
        state = graph.state(graph.runs[run])
    except CrossliftError:
        return []
    for one in state.steps.evaluations:
        if (one.evaluation.name, one.language) not in state.results or len(found) == len(kinds):
            continue
        try:
            scores = read_step_table(one.step.folder, "scores.parquet", SCORES)
            texts = read_step_table(one.step.folder, "predictions.parquet", PREDICTION_TABLES)
        except StoreError:
            continue
        rows = scores.filter(metric=_metric(one, scores)).with_columns(
            kind=pl.when(pl.col("status") != "scored")
            .then("status")
            .when(pl.col("value") >= 1)
            .then(pl.lit("correct"))
            .otherwise(pl.lit("wrong"))
        )
        new = rows.filter(~pl.col("kind").is_in(list(found))).unique("kind", keep="first", maintain_order=True)
        for row in new.join(texts, on="sample_id", how="inner", maintain_order="left").iter_rows(named=True):
            found[row["kind"]] = {
                "kind": row["kind"],
                "evaluation": one.evaluation.name,
                "language": one.language,
                "item": row["item_id"],
                "prompt": row["prompt"][:MAX_TEXT],
                "text": row["text"][:MAX_TEXT],
                "answer": row["answer"],
            }
    return sorted(found.values(), key=lambda row: kinds.index(row["kind"]))


def _log(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - LOG_BYTES))
            return stream.read().decode("utf-8", errors="replace")
    except OSError:
        return ""


def finite(value: Any) -> float | None:
    """A number as JSON can hold it; None if it is not finite."""
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None
