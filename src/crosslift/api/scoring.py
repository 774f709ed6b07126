"""Scoring of single answers, as the evaluation of a study does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crosslift.api.failures import user_errors

if TYPE_CHECKING:
    from crosslift.scores import Status


@dataclass(frozen=True, kw_only=True)
class Score:
    """The score of one answer."""

    values: Mapping[str, float]
    """Metric -> value in [0, 1]; the first metric is the primary one of the task."""
    status: Status
    """"scored", "unparsed", "truncated" or "wrong_language"; all but "scored" count as wrong."""
    parsed: str | None
    """The answer as the task read it from the text; None if it found none."""


@user_errors()
def score(task: str, text: str, gold: str, language: str, *, require_language: bool = False) -> Score:
    """Score one answer of a model.

    Args:
        task: name of the task; see `crosslift.members("task")`.
        text: the answer of the model, without the prompt.
        gold: the gold answer, in the format of the task: "42" for math.
        language: tag of the language of the question.
        require_language: whether an answer in another language counts as wrong.

    Returns:
        The score.

    Raises:
        UnknownName: there is no such task or language.
        EvaluationError: the gold answer is not in the format of the task.
        MissingPackage: a metric needs a package that is not installed (extra `train`).
    """
    import polars as pl

    from crosslift.errors import EvaluationError
    from crosslift.evaluation.scoring import Failure
    from crosslift.evaluation.scoring import score as score_predictions
    from crosslift.evaluation.task import task as find_task
    from crosslift.languages.language import language as find_language
    from crosslift.languages.tags import resolve
    from crosslift.scores import PREDICTIONS

    module, tag = find_task(task), resolve(language)
    if not hasattr(module, "score"):
        raise EvaluationError(
            f"task '{task}' does not score texts: it asks a model for likelihoods. Run it as an evaluation of a study."
        )
    row = {
        "sample_id": f"answer.{tag}",
        "item_id": "answer",
        "cluster": "answer",
        "language": tag,
        "prompt": "",
        "text": text,
        "finish": "stop",
        "num_prompt_tokens": 0,
        "num_completion_tokens": 0,
        "answer": gold,
    }
    failures: list[Failure] = []
    scored = score_predictions(
        module,
        pl.DataFrame([row], schema=PREDICTIONS),
        run="",
        evaluation="",
        task_name=task,
        require_language=require_language,
        report=failures.append,
    )
    if failures:
        error = failures[0].error
        raise EvaluationError(
            f"the answer cannot be scored with task '{task}' ({type(error).__name__}: {error}). Check the gold answer."
        ) from error
    status: Status = scored["status"][0]
    parsed = module.score(text, gold, find_language(tag)).parsed if status in ("scored", "wrong_language") else None
    return Score(values=dict(scored.select("metric", "value").iter_rows()), status=status, parsed=parsed)
