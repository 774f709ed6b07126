"""The evaluation steps of a run: predictions, then scores, one language of one evaluation at a time.

Generation never batches across steps. What a batch holds decides the last bits of a logit, so batches may not depend on
which steps happen to be missing after a kill.
"""

from __future__ import annotations

import gc
import logging
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from crosslift.discover import member
from crosslift.errors import EvaluationError, StoreError
from crosslift.evaluation.scoring import predict
from crosslift.evaluation.scoring import score as score_predictions
from crosslift.evaluation.task import task as find_task
from crosslift.execution.folder.base_models import BaseModel
from crosslift.execution.folder.checksums import JUDGED
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.steps import EvaluationStep
from crosslift.execution.folder.tables import read_step_table, read_table, write_table
from crosslift.fingerprint import fingerprint_file
from crosslift.scores import PREDICTIONS
from crosslift.studies.study import Evaluation
from crosslift.system.files import remove

log = logging.getLogger(__name__)


def load_generator(
    name: str,
    checkpoint: Path | None,
    model: BaseModel,
    graph: StepGraph,
    *,
    device: str,
    options: Mapping[str, Any] | None = None,
) -> Any:
    """A model in memory, ready to answer.

    Args:
        checkpoint: None for the base model.
        options: what the site says of this generator.
    """
    base = str(model.folder(graph.study.folder))
    return member("generator", name).Generator(
        base if checkpoint is None else checkpoint,
        base=base,
        revision=None,
        device=device,
        template=model.template if checkpoint is None else None,
        **(options or {}),
    )


def free_memory() -> None:
    """Give the GPU memory of models that nobody refers to any more back, for the next one. On a CPU there is no hurry,
    and a full collection with torch loaded takes as long as some runs."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        gc.collect()
        torch.cuda.empty_cache()


def evaluate(
    graph: StepGraph, run: str, one: EvaluationStep, answers: Any, *, check: Callable[[], None] = lambda: None
) -> int:
    """Answer one evaluation in one language, and score it.

    Args:
        check: called before something is written; raises when this worker may not go on.

    Returns:
        How many samples have an error of our own; the step is then done and will be tried again.
    """
    corpus = one.evaluation.corpus
    languages = graph.study.corpora[corpus].languages
    rows = read_step_table(graph.store.corpus_folder(corpus), "rows.parquet")
    one.step.begin()
    begun = time.monotonic()
    predictions = predict(
        answers,
        find_task(one.evaluation.task),
        rows.gather_every(len(languages), offset=languages.index(one.language)),
        prompt=graph.study.prompts[corpus],
        max_tokens=one.evaluation.max_tokens,
        shots=few_shot_examples(graph, one.evaluation, one.language),
    )
    check()
    (one.step.folder / JUDGED).unlink(missing_ok=True)  # it judged other answers
    write_table(one.step.folder / "predictions.parquet", predictions)
    return rescore(run, one, seconds=round(time.monotonic() - begun, 3), check=check)


def few_shot_examples(graph: StepGraph, evaluation: Evaluation, tag: str) -> list[list[dict[str, str]]]:
    """The worked conversations that an evaluation shows in a language."""
    if evaluation.shots is None:
        return []
    languages = graph.study.corpora[evaluation.shots.corpus].languages
    rows = read_step_table(graph.store.corpus_folder(evaluation.shots.corpus), "rows.parquet")
    messages = rows["messages"].gather_every(len(languages), offset=languages.index(tag))
    if len(messages) < evaluation.shots.number:
        raise EvaluationError(
            f"evaluations.{evaluation.name}.shots: corpus '{evaluation.shots.corpus}' has {len(messages)} items and "
            f"{evaluation.shots.number} are to be shown. Show fewer."
        )
    found: list[list[dict[str, str]]] = messages.head(evaluation.shots.number).to_list()
    return found


def rescore(run: str, one: EvaluationStep, *, seconds: float, check: Callable[[], None] = lambda: None) -> int:
    """Score the predictions that there are and mark the step as done.

    Args:
        seconds: what generating took.
        check: called before something is written; raises when this worker may not go on.

    Raises:
        StoreError: the predictions are damaged.
    """
    predictions = read_table(one.step.folder / "predictions.parquet", PREDICTIONS)
    state = one.step.state()
    if any(damage.file == JUDGED for damage in state.damage):  # else the new marker would list it as whole
        log.warning("%s/%s is damaged and removed; crosslift judge makes it again", one.step.name, JUDGED)
        remove(one.step.folder / JUDGED)
    scores = score_predictions(
        find_task(one.evaluation.task),
        predictions,
        run=run,
        evaluation=one.evaluation.name,
        task_name=one.evaluation.task,
        require_language=one.evaluation.require_language,
    )
    check()
    file = one.step.folder / "scores.parquet"
    write_table(file, scores)
    num_errors = scores.filter(pl.col("status") == "error")["sample_id"].n_unique()
    one.step.finish(
        scores=fingerprint_file(file), num_samples=predictions.height, num_errors=num_errors, seconds=seconds
    )
    return num_errors


def finished_predictions(one: EvaluationStep) -> dict[str, Any] | None:
    """What the done-marker of a step says whose predictions are whole: only its scoring failed, or its scores are
    damaged. Else None."""
    state = one.step.state(thorough=True)
    if state.outputs is None or any(damage.file == "predictions.parquet" for damage in state.damage):
        return None
    try:
        finishes = read_table(one.step.folder / "predictions.parquet", PREDICTIONS)["finish"]
    except StoreError:  # of a marker that lists no files
        return None
    return None if (finishes == "error").any() else state.outputs


def mean_score(
    answers: Any,
    rows: pl.DataFrame,
    *,
    task_name: str,
    prompt: str,
    max_tokens: int | None,
    require_language: bool,
    few_shot_examples: list[list[dict[str, str]]],
) -> float:
    """Mean of the task's primary metric over rows of one language.

    Raises:
        EvaluationError: a sample could not be scored; a checkpoint must not be chosen by what is left.
    """
    task = find_task(task_name)
    predictions = predict(answers, task, rows, prompt=prompt, max_tokens=max_tokens, shots=few_shot_examples)
    scores = score_predictions(
        task, predictions, run="", evaluation="", task_name=task_name, require_language=require_language
    ).filter(pl.col("metric") == task.METRICS[0])
    if scores["value"].has_nulls():
        raise EvaluationError(f"{scores['value'].null_count()} validation samples could not be scored; see log.txt.")
    return float(scores["value"].sum()) / scores.height
