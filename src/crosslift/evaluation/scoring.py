"""From rows of a corpus to predictions, and from predictions to scores.

Two steps, because they fail for different reasons and cost differently: predictions are kept, so that a better parser
re-scores a study of a thousand runs in minutes. What a task need not know is handled here once for all tasks:

    finish "error"   the generator failed on this prompt: value null, status "error"
    finish "length"  truncated: counts as wrong, whatever stands in the text so far; so does an answer of more than
                     MAX_CHARACTERS, which no parser is given
    wrong language   where the evaluation requires the language of the question: counts as wrong
    an exception     of our own program while scoring, or more than SECONDS: value null, status "error", the exception
                     handed to the caller

The metric `in_language` is measured on all answers that there are, whatever became of their content.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import polars as pl

from crosslift.chat import encode_prompts
from crosslift.errors import CrossliftError, EvaluationError
from crosslift.evaluation.generator import Completion
from crosslift.evaluation.task import LANGUAGE_METRIC, Message, Task
from crosslift.languages.identify import in_language
from crosslift.languages.language import Language
from crosslift.languages.language import language as find_language
from crosslift.scores import PREDICTIONS, SCORES, Status
from crosslift.untrusted.limits import time_limit

log = logging.getLogger(__name__)

MAX_CHARACTERS = 200_000
"""Of an answer. A model that writes more has lost its way."""
SECONDS = 20.0
"""For one answer; usual are 0.001. A pattern of a published constraint may take for ever on a text made for that."""


class Generates(Protocol):
    """What `predict` needs of a generator."""

    @property
    def tokenizer(self) -> Any: ...

    def generate(self, prompts: Sequence[Sequence[int]], *, max_tokens: int) -> list[Completion]: ...


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A row that our own program could not score."""

    sample_id: str
    error: Exception


def log_failure(failure: Failure) -> None:
    """Write a failure with its traceback to the log."""
    log.error("cannot score %s: %s", failure.sample_id, failure.error, exc_info=failure.error)


def predict(
    generator: Generates,
    task: Task,
    rows: pl.DataFrame,
    *,
    prompt: str,
    max_tokens: int | None = None,
    shots: Sequence[Sequence[Message]] = (),
) -> pl.DataFrame:
    """Let a model answer the rows of one language.

    Args:
        rows: Frame of schema `corpora.corpus.ROWS`, all in one language. An assistant message at the end is left out.
        prompt: One of the task's PROMPTS.
        max_tokens: Limit of generated tokens per answer; None: the task's MAX_TOKENS.
        shots: Worked conversations in the same language, shown before each question in the same prompt form.

    Returns:
        Frame of schema `scores.PREDICTIONS`, in the order of the rows.

    Raises:
        EvaluationError: no rows, several languages, or a generator that answers with another number of completions.
    """
    language = _only_language(rows)
    tokenizer = generator.tokenizer
    shown = [message for messages in shots for message in task.present(messages, language, prompt)]
    prompts = encode_prompts(
        tokenizer,
        [
            _behind(shown, _without_answer(task.present(messages, language, prompt)))
            for messages in rows["messages"].to_list()
        ],
    )
    limit = task.MAX_TOKENS if max_tokens is None else max_tokens
    completions = generator.generate(prompts, max_tokens=limit)
    if len(completions) != len(prompts):
        raise EvaluationError(f"The generator gave {len(completions)} completions for {len(prompts)} prompts.")
    return rows.select(
        pl.concat_str("item_id", "language", separator=".").alias("sample_id"),
        "item_id",
        "cluster",
        "language",
        pl.Series("prompt", tokenizer.batch_decode(prompts, skip_special_tokens=False), pl.String),
        pl.Series("text", [completion.text for completion in completions], pl.String),
        pl.Series("finish", [completion.finish for completion in completions], pl.String),
        pl.Series("num_prompt_tokens", map(len, prompts), pl.Int32),
        pl.Series("num_completion_tokens", [completion.num_tokens for completion in completions], pl.Int32),
        "answer",
    ).cast(PREDICTIONS)


def score(
    task: Task,
    predictions: pl.DataFrame,
    *,
    run: str,
    evaluation: str,
    task_name: str,
    require_language: bool = False,
    report: Callable[[Failure], None] = log_failure,
) -> pl.DataFrame:
    """Score predictions, one row per prediction x metric.

    Args:
        predictions: Frame of schema `scores.PREDICTIONS`; languages may be mixed.
        require_language: Does a right answer in another language count as wrong?
        report: Called with each row that raised. Such rows get status "error"; nothing is swallowed.

    Returns:
        Frame of schema `scores.SCORES`: in the order of the predictions, then of the task's METRICS.

    Raises:
        CrossliftError: something that the user must change (an unknown language tag, a missing package).
    """
    columns: dict[str, list[Any]] = {"metric": [], "value": [], "status": []}
    for row in predictions.iter_rows(named=True):
        for metric, value, status in _score_row(task, row, require_language, report):
            columns["metric"].append(metric)
            columns["value"].append(value)
            columns["status"].append(status)
    num_metrics = len(task.METRICS)
    repeated = predictions.select(pl.all().repeat_by(num_metrics).explode())
    return repeated.select(
        pl.lit(run).alias("run"),
        pl.lit(evaluation).alias("evaluation"),
        pl.lit(task_name).alias("task"),
        "language",
        "sample_id",
        "item_id",
        "cluster",
        pl.Series("metric", columns["metric"], pl.String),
        pl.Series("value", columns["value"], pl.Float64),
        pl.Series("status", columns["status"], pl.String),
    ).cast(SCORES)


_Scored = tuple[str, float | None, Status]


def _score_row(
    task: Task, row: dict[str, Any], require_language: bool, report: Callable[[Failure], None]
) -> list[_Scored]:
    if row["finish"] == "error":
        return [(metric, None, "error") for metric in task.METRICS]
    try:
        with time_limit(SECONDS):
            return _judge(task, row, find_language(row["language"]), require_language)
    except CrossliftError:
        raise
    except Exception as error:  # a bug of ours in one row must neither stop the others nor count as the model's mistake
        report(Failure(sample_id=row["sample_id"], error=error))
        return [(metric, None, "error") for metric in task.METRICS]


def _judge(task: Task, row: dict[str, Any], language: Language, require_language: bool) -> list[_Scored]:
    text = row["text"][:MAX_CHARACTERS]
    status: Status
    if row["finish"] == "length" or len(row["text"]) > MAX_CHARACTERS:
        values, status = dict.fromkeys(task.METRICS, 0.0), "truncated"
    else:
        outcome = task.score(text, row["answer"], language)
        values, status = dict(outcome.values), outcome.status
    if LANGUAGE_METRIC not in task.METRICS and not require_language:
        return [(metric, values[metric], status) for metric in task.METRICS]
    spoken = in_language(text, language)
    if require_language and status == "scored" and not spoken:
        values, status = dict.fromkeys(task.METRICS, 0.0), "wrong_language"
    return [
        (metric, float(spoken), "scored") if metric == LANGUAGE_METRIC else (metric, values[metric], status)
        for metric in task.METRICS
    ]


def _only_language(rows: pl.DataFrame) -> Language:
    languages = rows["language"].unique(maintain_order=True).to_list()
    if len(languages) != 1:
        raise EvaluationError(f"Predictions are made for one language at a time; these rows hold {languages}.")
    return find_language(languages[0])


def _behind(shown: list[dict[str, str]], messages: list[dict[str, str]]) -> list[dict[str, str]]:
    """The messages with the shots before them; a system message stays in front."""
    start = 1 if messages[0]["role"] == "system" else 0
    return [*messages[:start], *shown, *messages[start:]]


def _without_answer(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    return messages[:-1] if messages[-1]["role"] == "assistant" else messages
