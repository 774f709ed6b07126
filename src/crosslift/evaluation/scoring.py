"""Prediction and scoring.

The two are separate steps, because they fail for different reasons and differ in cost: predictions are stored, so that
an improved parser can score a study of a thousand runs again in minutes. This module handles what is the same for all
tasks:

    finish "error"   the generator failed on this prompt: value null, status "error"
    finish "length"  truncated: counts as wrong, whatever the text contains; so does an answer of more than
                     MAX_CHARACTERS, which is not parsed
    wrong language   counts as wrong if the evaluation requires the language of the question
    an exception     raised by this program while scoring, or more than SECONDS: value null, status "error", passed on
                     to the caller

The metrics of language fidelity are measured on all generated answers, independently of their content.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from inspect import signature
from typing import Any, Protocol

import polars as pl

from crosslift.chat import encode_prompts
from crosslift.corpora.corpus import Source
from crosslift.errors import CrossliftError, EvaluationError
from crosslift.evaluation.generator import Completion
from crosslift.evaluation.requests.kinds import Example, Generation, Text
from crosslift.evaluation.requests.likelihood import predict_continuations, predict_texts, require_likelihoods
from crosslift.evaluation.task import LANGUAGE_METRIC, LINE_METRIC, RESPONSE_METRIC, Message, asks_for_likelihoods
from crosslift.languages.identify import in_language, share_of_lines_in_language
from crosslift.languages.language import Language
from crosslift.languages.language import language as find_language
from crosslift.scores import PREDICTIONS, SCORES, Status
from crosslift.untrusted.limits import time_limit

log = logging.getLogger(__name__)

MAX_CHARACTERS = 200_000
"""Of an answer. A model that writes more has lost its way."""
SECONDS = 20.0
"""For one answer; usual are 0.001. A pattern of a published constraint may take for ever on a text made for that."""


class SupportsGenerate(Protocol):
    """Protocol of a generator, as far as `predict` uses it."""

    @property
    def tokenizer(self) -> Any: ...

    @property
    def generate(self) -> Callable[..., list[Completion]]: ...


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A prediction that could not be scored because this program raised an exception."""

    sample_id: str
    error: Exception


def log_failure(failure: Failure) -> None:
    """Log a failure with its traceback."""
    log.error("cannot score %s: %s", failure.sample_id, failure.error, exc_info=failure.error)


def predict(
    generator: SupportsGenerate,
    task: Any,
    rows: pl.DataFrame,
    *,
    prompt: str,
    max_tokens: int | None = None,
    shots: Sequence[Example] = (),
    chat: bool = False,
    source: Source | None = None,
    stop: Sequence[str] = (),
) -> pl.DataFrame:
    """Ask a generator what the task asks for each row of one language.

    Args:
        generator: the loaded model.
        task: the task's module.
        rows: Frame of schema `corpora.corpus.ROWS`, all in one language. A final assistant message is not part of the
            prompt.
        prompt: One of the task's PROMPTS.
        max_tokens: Limit of generated tokens per completion; None: the task's MAX_TOKENS.
        shots: Few-shot examples in the same language, put before each question in the same prompt format.
        chat: For tasks by likelihood: ask in the model's chat template, instead of plain text.
        source: Specification of the corpus, for tasks of other programs, which read it again.
        stop: An answer ends before the first of these texts. A base model goes on with a next question, for example;
            without a stop, its answer would count as truncated.

    Returns:
        Frame of schema `scores.PREDICTIONS` or, for tasks by likelihood, `scores.LIKELIHOODS`, in the order of the
        rows.

    Raises:
        EvaluationError: there are no rows or several languages, the generator returned a wrong number of completions,
            or it does not return likelihoods.
    """
    language = _only_language(rows)
    if hasattr(task, "predict"):
        found: pl.DataFrame = task.predict(generator, rows, source=source, chat=chat)
        return found
    questions = rows.select("messages", "answer").iter_rows()
    if not asks_for_likelihoods(task):
        shown = [message for one in shots for message in task.present(one.messages, language, prompt)]
        asked = [
            Generation(messages=_behind(shown, _without_answer(task.present(messages, language, prompt))))
            for messages, _ in questions
        ]
        limit = task.MAX_TOKENS if max_tokens is None else max_tokens
        return _answers(generator, asked, rows, limit=limit, stop=stop)
    requests = [
        task.request(messages, answer, language, prompt, shots=shots, chat=chat) for messages, answer in questions
    ]
    able = require_likelihoods(generator)
    if all(isinstance(one, Text) for one in requests):
        return predict_texts(able, requests, rows)
    return predict_continuations(able, requests, rows)


def _answers(
    generator: SupportsGenerate,
    requests: Sequence[Generation],
    rows: pl.DataFrame,
    *,
    limit: int,
    stop: Sequence[str],
) -> pl.DataFrame:
    tokenizer = generator.tokenizer
    prompts = encode_prompts(tokenizer, [request.messages for request in requests])
    early = {"stop": tuple(stop)} if stop and "stop" in signature(generator.generate).parameters else {}
    completions = [_stopped(one, stop) for one in generator.generate(prompts, max_tokens=limit, **early)]
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


def _stopped(completion: Completion, stop: Sequence[str]) -> Completion:
    """The completion up to the first stop text. Generators may generate beyond it, which changes no answer."""
    places = [place for text in stop if (place := completion.text.find(text)) >= 0]
    if not places or completion.finish == "error":
        return completion
    return replace(completion, text=completion.text[: min(places)], finish="stop")


def score(
    task: Any,
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
        task: The task's module.
        predictions: Frame of schema `scores.PREDICTIONS` or `scores.LIKELIHOODS`, in one or several languages.
        run: Name of the run.
        evaluation: Name of the evaluation.
        task_name: Name of the task.
        require_language: Whether a correct answer in another language counts as wrong.
        report: Called with each prediction whose scoring raised an exception; its rows get the status "error".

    Returns:
        Frame of schema `scores.SCORES`, in the order of the predictions and then of the task's METRICS.

    Raises:
        CrossliftError: an error that the user must correct (an unknown language tag, a missing package).
    """
    columns: dict[str, list[Any]] = {"row": [], "metric": [], "value": [], "status": []}
    for place, row in enumerate(predictions.iter_rows(named=True)):
        for metric, value, status in _score_row(task, row, require_language, report):
            columns["row"].append(place)
            columns["metric"].append(metric)
            columns["value"].append(value)
            columns["status"].append(status)
    return (
        predictions[columns["row"]]
        .select(
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
        )
        .cast(SCORES)
    )


_Scored = tuple[str, float | None, Status]


def _score_row(
    task: Any, row: dict[str, Any], require_language: bool, report: Callable[[Failure], None]
) -> list[_Scored]:
    if row["finish"] == "error":
        return [(metric, None, "error") for metric in task.METRICS]
    try:
        with time_limit(SECONDS):
            return _judge(task, row, find_language(row["language"]), require_language)
    except CrossliftError:
        raise
    except Exception as error:  # a bug in one row must neither stop the others nor count as the model's mistake
        report(Failure(sample_id=row["sample_id"], error=error))
        return [(metric, None, "error") for metric in task.METRICS]


def _judge(task: Any, row: dict[str, Any], language: Language, require_language: bool) -> list[_Scored]:
    text = row["text"][:MAX_CHARACTERS]
    status: Status
    if hasattr(task, "score_row"):
        outcome = task.score_row(row, language)
        return [(metric, value, outcome.status) for metric, value in outcome.values.items()]
    if row["finish"] == "length" or len(row["text"]) > MAX_CHARACTERS:
        values, status = dict.fromkeys(task.METRICS, 0.0), "truncated"
    else:
        outcome = task.score(text, row["answer"], language)
        values, status = dict(outcome.values), outcome.status
    measured = {name: float(measure(text, language)) for name, measure in _OF_LANGUAGE.items() if name in task.METRICS}
    if require_language and status == "scored":
        spoken = measured[LANGUAGE_METRIC] if LANGUAGE_METRIC in measured else in_language(text, language)
        if not spoken:
            values, status = dict.fromkeys(task.METRICS, 0.0), "wrong_language"
    return [
        (metric, measured[metric], "scored") if metric in measured else (metric, values[metric], status)
        for metric in task.METRICS
    ]


_OF_LANGUAGE: dict[str, Callable[[str, Language], float]] = {
    LANGUAGE_METRIC: in_language,
    LINE_METRIC: share_of_lines_in_language,
    RESPONSE_METRIC: lambda text, language: float(share_of_lines_in_language(text, language) == 1),
}
"""Metrics that are measured on all generated answers, whatever their content."""


def _only_language(rows: pl.DataFrame) -> Language:
    languages = rows["language"].unique(maintain_order=True).to_list()
    if len(languages) != 1:
        raise EvaluationError(f"Predictions are made for one language at a time; these rows have {languages}.")
    return find_language(languages[0])


def _behind(shown: Sequence[Message], messages: Sequence[Message]) -> list[Message]:
    """Insert the few-shot examples before the messages, after a system message."""
    start = 1 if messages[0]["role"] == "system" else 0
    return [*messages[:start], *shown, *messages[start:]]


def _without_answer(messages: Sequence[Message]) -> Sequence[Message]:
    return messages[:-1] if messages[-1]["role"] == "assistant" else messages
