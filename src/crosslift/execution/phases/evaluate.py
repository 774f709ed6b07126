"""Evaluation steps of a run: predictions, then scores, for one evaluation in one language at a time.

Generation never batches across steps. The composition of a batch affects the last bits of the logits, so it must not
depend on which steps are missing after an interruption.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from crosslift.discover import member, module_names
from crosslift.errors import EvaluationError, StoreError
from crosslift.evaluation.requests.kinds import Example
from crosslift.evaluation.scoring import predict
from crosslift.evaluation.scoring import score as score_predictions
from crosslift.evaluation.task import task as find_task
from crosslift.execution.folder.base_models import BaseModel
from crosslift.execution.folder.checksums import JUDGED
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.steps import EvaluationStep
from crosslift.execution.folder.tables import read_step_table, read_table, write_table
from crosslift.execution.phases.joined import taken
from crosslift.fingerprint import fingerprint_file
from crosslift.scores import PREDICTION_TABLES
from crosslift.studies.evaluation import Evaluation, by_judge
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
    num_devices: int = 1,
) -> Any:
    """Load a model for generation.

    Args:
        name: the generator.
        checkpoint: the trained checkpoint; None for the base model.
        model: the base model.
        graph: the steps of the study.
        device: as in the site file.
        options: the site's options for this generator.
        num_devices: devices that hold the model together, if the generator can divide it.

    Returns:
        The `Generator` of the generator's module.
    """
    base = str(model.folder(graph.study.folder))
    module = member("generator", name)
    divides = num_devices > 1 and getattr(module, "SEVERAL_DEVICES", False)
    lora = graph.study.training.lora
    ranked = lora is not None and "max_lora_rank" in getattr(module, "OPTIONS", {})
    return module.Generator(
        base if checkpoint is None else checkpoint,
        base=base,
        revision=None,
        device=device,
        template=model.template if checkpoint is None else None,
        **({"num_devices": num_devices} if divides else {}),
        **({"max_lora_rank": lora.rank} if lora is not None and ranked else {}) | dict(options or {}),
    )


def runs_per_engine(name: str, options: Mapping[str, Any] | None = None) -> int:
    """Return how many trained runs of a base model wait for an engine of a generator before it is started.

    Args:
        name: the generator.
        options: the site's options for this generator.

    Returns:
        1 for generators that load each model anew.
    """
    default = getattr(member("generator", name), "RUNS_PER_ENGINE", 1)
    return max(1, int((options or {}).get("runs_per_engine", default))) if default > 1 else 1


def close_engines() -> None:
    """End the engines that generators keep open for the next run, because something else needs the memory."""
    for name in module_names("generator").values():
        close = getattr(sys.modules.get(name), "close", None)
        if close is not None:
            close()


@contextlib.contextmanager
def engines_between_runs() -> Iterator[None]:
    """Context manager for several runs; ends the engines that they have left open."""
    try:
        yield
    finally:
        close_engines()


def free_memory() -> None:
    """Release the GPU memory of unreferenced models. Does nothing on a CPU, where a full garbage collection with torch
    loaded takes as long as some runs."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        gc.collect()
        torch.cuda.empty_cache()


def evaluate(
    graph: StepGraph, run: str, one: EvaluationStep, answers: Any, *, check: Callable[[], None] = lambda: None
) -> int:
    """Generate predictions for one evaluation in one language, and score them.

    Args:
        graph: the steps of the study.
        run: the run.
        one: the evaluation step.
        answers: the loaded generator.
        check: called before files are removed or written; raises if this worker must stop.

    Returns:
        Number of samples that failed with an error; if it is not 0, the step is finished and will be retried.
    """
    corpus = one.evaluation.corpus_in(one.language)
    languages = graph.study.corpora[corpus].languages
    rows = read_step_table(graph.store.corpus_folder(corpus), "rows.parquet")
    check()  # loading the model took a while, and what another worker has finished must not be removed
    one.step.begin()
    started = time.monotonic()
    predictions = predict(
        answers,
        find_task(one.evaluation.task),
        taken(graph, one.evaluation.corpora, rows.gather_every(len(languages), offset=languages.index(one.language))),
        prompt=graph.study.prompts[corpus],
        max_tokens=one.evaluation.max_tokens,
        shots=few_shot_examples(graph, one.evaluation, one.language),
        chat=one.evaluation.chat_template,
        source=graph.study.corpora[corpus],
        stop=one.evaluation.stop,
    )
    check()
    (one.step.folder / JUDGED).unlink(missing_ok=True)  # the verdicts are on the previous predictions
    write_table(one.step.folder / "predictions.parquet", predictions)
    return rescore(run, one, seconds=round(time.monotonic() - started, 3), check=check)


def few_shot_examples(graph: StepGraph, evaluation: Evaluation, tag: str) -> list[Example]:
    """Return the few-shot examples of an evaluation in a language.

    Args:
        graph: the steps of the study.
        evaluation: the evaluation.
        tag: the language.

    Returns:
        The examples; none if the evaluation has no `shots`.

    Raises:
        EvaluationError: the corpus has fewer items than examples.
    """
    if evaluation.shots is None:
        return []
    corpus = evaluation.shots.corpus_in(tag)
    languages = graph.study.corpora[corpus].languages
    rows = read_step_table(graph.store.corpus_folder(corpus), "rows.parquet")
    rows = taken(graph, evaluation.shots.corpora, rows.gather_every(len(languages), offset=languages.index(tag)))
    if rows.height < evaluation.shots.number:
        raise EvaluationError(
            f"evaluations.{evaluation.name}.shots: corpus '{corpus}' has {rows.height} items, but "
            f"number is {evaluation.shots.number}. Use fewer examples."
        )
    rows = rows.select("messages", "answer").head(evaluation.shots.number)
    return [Example(**row) for row in rows.iter_rows(named=True)]


def rescore(run: str, one: EvaluationStep, *, seconds: float, check: Callable[[], None] = lambda: None) -> int:
    """Score the existing predictions of a step and write its done-marker.

    Args:
        run: the run.
        one: the evaluation step.
        seconds: duration of generation.
        check: called before files are written; raises if this worker must stop.

    Returns:
        Number of samples that failed with an error.

    Raises:
        StoreError: the predictions are damaged.
    """
    predictions = read_table(one.step.folder / "predictions.parquet", PREDICTION_TABLES)
    state = one.step.state()
    if any(damage.file == JUDGED for damage in state.damage):  # otherwise the new marker would list it as intact
        log.warning("%s/%s is damaged and was removed; crosslift judge creates it again", one.step.name, JUDGED)
        remove(one.step.folder / JUDGED)
    scores = score_predictions(
        find_task(one.evaluation.task),
        predictions,
        run=run,
        evaluation=one.evaluation.name,
        task_name=one.evaluation.task,
        require_language=one.evaluation.require_language,
    )
    metric = one.evaluation.metric
    if scores.height and not by_judge(metric) and metric not in scores["metric"].unique():
        raise EvaluationError(
            f"evaluations.{one.evaluation.name}.metric: '{metric}' is no metric of the task in "
            f"'{one.language}'. Known: {', '.join(scores['metric'].unique(maintain_order=True))}."
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
    """Check whether a missing step needs only scoring, because its scoring failed or its scores are damaged.

    Args:
        one: the evaluation step.

    Returns:
        The outputs in the step's done-marker; None if the predictions are missing, damaged or incomplete.
    """
    state = one.step.state(thorough=True)
    if state.outputs is None or any(damage.file == "predictions.parquet" for damage in state.damage):
        return None
    try:
        finishes = read_table(one.step.folder / "predictions.parquet", PREDICTION_TABLES)["finish"]
    except StoreError:  # the marker lists no files
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
    few_shot_examples: list[Example],
    stop: Sequence[str] = (),
) -> float:
    """Compute the mean of the task's primary metric over rows of one language.

    Args:
        answers: the loaded generator.
        rows: rows of a corpus.
        task_name: the task.
        prompt: name of the task's prompt.
        max_tokens: maximum number of generated tokens; None for the task's default.
        require_language: score answers in another language as wrong.
        few_shot_examples: result of `few_shot_examples`.
        stop: texts that end an answer.

    Returns:
        The mean score.

    Raises:
        EvaluationError: a sample could not be scored; a checkpoint must not be selected by the remaining samples.
    """
    task = find_task(task_name)
    predictions = predict(answers, task, rows, prompt=prompt, max_tokens=max_tokens, shots=few_shot_examples, stop=stop)
    scores = score_predictions(
        task, predictions, run="", evaluation="", task_name=task_name, require_language=require_language
    ).filter(pl.col("metric") == task.METRICS[0])
    if scores["value"].has_nulls():
        raise EvaluationError(f"{scores['value'].null_count()} validation samples could not be scored; see log.txt.")
    return float(scores["value"].sum()) / scores.height
