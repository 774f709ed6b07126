"""Tasks of lm-evaluation-harness, asked and scored by its own code with the generator of the evaluation as its model.

Written in an evaluation of the study file, without a corpus:

    [evaluations.reading]
    task = "lm_eval"
    tasks = ["belebele_{language}", "xnli_{language}"]
    languages = ["en", "de", "sw"]

Metrics have the names of the harness, with the filter behind a comma if there is one. Metrics that are defined for the
whole set only (F1, BLEU) have no value per item and are left out. The answers and the values are kept, so that scores
can be written again; the harness's filters do not run again. The extra `harness` installs the program.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from crosslift.corpora.corpus import Source
from crosslift.corpora.harness import load_task, metrics_of
from crosslift.evaluation.task import Message, Outcome, present_unchanged
from crosslift.languages.language import Language

METRICS = ("acc",)
"""The default; a task of the harness has its own."""
PROMPTS = ("bare",)
MAX_TOKENS = 1
"""The tasks of the harness have their own limits."""


def present(messages: Sequence[Message], language: Language, prompt: str) -> list[dict[str, str]]:
    """The conversation as in the corpus.

    Raises:
        EvaluationError: the prompt format is unknown, or there is no user message.
    """
    return present_unchanged(messages, prompt)


def predict(generator: Any, rows: pl.DataFrame, *, source: Source, chat: bool) -> pl.DataFrame:
    """Run the task of the harness on the documents of one language, see `requests.harness`."""
    from crosslift.evaluation.requests.harness import predict_by_harness

    return predict_by_harness(generator, rows, source=source, chat=chat)


def score_row(row: Mapping[str, Any], language: Language) -> Outcome:
    """The values that the harness computed for one document."""
    return Outcome(values=json.loads(row["text"])["metrics"], status="scored")


def problems(source: Source, metric: str) -> list[str]:
    """Why an evaluation cannot be run, one sentence each; for `crosslift check`.

    Args:
        source: the corpus of the evaluation.
        metric: its primary metric.
    """
    found = []
    for tag in source.languages:
        task = load_task(source, tag)
        known = metrics_of(task)
        if task.higher_is_better().get(metric.partition(",")[0]) is False:
            found.append(
                f"evaluations.{source.name}.metric: '{metric}' is better if it is lower, so it cannot be the primary "
                "metric. Choose another."
            )
        if known and metric not in known:
            found.append(
                f"evaluations.{source.name}.metric: the task has no metric '{metric}' in '{tag}'. Known: "
                f"{', '.join(known)}."
            )
    return found
