"""Prompts for a judge model about a study's answers, and its verdicts as scores.

    rating                  the rating, from 1 to 5
    wins_over_<baseline>    1 if the judge prefers the run's answer in both orders, 0 if it prefers the baseline's in
                            both, else 0.5

The judge is not called for answers that get the lowest rating by rule. arXiv 2504.16677 has one such rule: an answer in
another language than that of the request. By default, truncated and empty answers are treated alike, because a judge
cannot see that an answer was cut off. If the judge gives no verdict, the status is "error" and the value is null; the
next `crosslift judge` calls the judge again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import polars as pl

from crosslift.judging import forms
from crosslift.judging.judge import Judge
from crosslift.languages.identify import in_language
from crosslift.languages.language import language as find_language
from crosslift.remote.journal import Journal
from crosslift.scores import MODEL_FAILURES, RATING, SCORES, Status

WIN_METRIC = "wins_over_{baseline}"
"""The metric of comparisons with a baseline run."""


@dataclass(frozen=True, kw_only=True)
class ModelAnswer:
    """An answer of a run to one sample."""

    run: str
    sample_id: str
    item_id: str
    cluster: str
    language: str
    request: str
    """The user's request, without the model's template."""
    text: str
    """The answer."""
    finish: str
    """As in `scores.PREDICTIONS`."""

    def failure(self, lowest: Collection[str] = MODEL_FAILURES) -> Status | None:
        """Why the answer is not shown to the judge; None if it is.

        Args:
            lowest: statuses that get the lowest verdict by rule.
        """
        if self.finish == "error":
            return "error"
        if self.finish == "length" and "truncated" in lowest:
            return "truncated"
        if not self.text.strip() and "unparsed" in lowest:
            return "unparsed"
        if "wrong_language" in lowest and not in_language(self.text, find_language(self.language)):
            return "wrong_language"
        return None


def rate(
    judge: Judge,
    answers: list[ModelAnswer],
    journal: Journal,
    *,
    evaluation: str,
    task: str,
    prompt: str,
    lowest: Collection[str] = MODEL_FAILURES,
) -> pl.DataFrame:
    """Rate answers; columns as in `scores.SCORES`, one row per answer.

    Args:
        judge: the judge model.
        answers: the answers to rate.
        journal: replies of the judge.
        prompt: see `forms.rating_prompt`.
        lowest: statuses that get the lowest rating without being shown to the judge.
        evaluation: name of the evaluation.
        task: name of its task.

    Raises:
        EndpointError: the endpoint rejects the requests.
    """
    failures = [answer.failure(lowest) for answer in answers]
    prompts = [
        forms.filled(prompt, {"language": _language_name(answer), "request": answer.request, "answer": answer.text})
        for answer in answers
    ]
    judged = [text for text, failure in zip(prompts, failures, strict=True) if failure is None]
    found = judge.verdicts(judged, forms.read_rating, journal)
    scored = [
        (failure, None if failure == "error" else float(forms.WORST))
        if failure is not None
        else _scored(found.get(text))
        for text, failure in zip(prompts, failures, strict=True)
    ]
    return _score_table(answers, scored, RATING, evaluation, task)


def compare(
    judge: Judge,
    answers: list[ModelAnswer],
    baseline_answers: Mapping[str, ModelAnswer],
    journal: Journal,
    *,
    baseline: str,
    evaluation: str,
    task: str,
) -> pl.DataFrame:
    """Compare answers with the baseline's answers to the same samples; columns as in `scores.SCORES`, one row per
    answer.

    Args:
        judge: the judge model.
        answers: the answers to compare.
        baseline_answers: `sample_id` -> answer of the baseline run.
        journal: replies of the judge.
        baseline: name of the baseline run.
        evaluation: name of the evaluation.
        task: name of its task.

    Raises:
        EndpointError: the endpoint rejects the requests.
    """
    pairs = [(answer, baseline_answers[answer.sample_id]) for answer in answers]
    prompts = {
        (answer.run, answer.sample_id): (_comparison_prompt(answer, other), _comparison_prompt(other, answer))
        for answer, other in pairs
        if answer.failure() is None and other.failure() is None and answer.text != other.text
    }
    found = judge.verdicts([prompt for both in prompts.values() for prompt in both], forms.read_comparison, journal)
    scored: list[tuple[Status, float | None]] = []
    for answer, other in pairs:
        asked = prompts.get((answer.run, answer.sample_id))
        if asked is None:
            scored.append(_score_without_judge(answer, other))
            continue
        ahead, behind = (found.get(prompt) for prompt in asked)
        # A win requires the same preference in both orders.
        won = None if ahead is None or behind is None else {(1.0, 0.0): 1.0, (0.0, 1.0): 0.0}.get((ahead, behind), 0.5)
        scored.append(_scored(won))
    return _score_table(answers, scored, WIN_METRIC.format(baseline=baseline), evaluation, task)


def _score_without_judge(answer: ModelAnswer, baseline: ModelAnswer) -> tuple[Status, float | None]:
    failed, missed = answer.failure(), baseline.failure()
    if "error" in (failed, missed):
        return "error", None
    if failed is not None:
        return failed, 0.0 if missed is None else 0.5
    return "scored", 0.5 if missed is None else 1.0


def _scored(verdict: float | None) -> tuple[Status, float | None]:
    return ("error", None) if verdict is None else ("scored", verdict)


def _comparison_prompt(first: ModelAnswer, second: ModelAnswer) -> str:
    return forms.COMPARISON_PROMPT.format(
        language=_language_name(first), request=first.request, first=first.text, second=second.text
    )


def _language_name(answer: ModelAnswer) -> str:
    return find_language(answer.language).name


def _score_table(
    answers: list[ModelAnswer], scored: list[tuple[Status, float | None]], metric: str, evaluation: str, task: str
) -> pl.DataFrame:
    rows = [
        {
            "run": answer.run,
            "evaluation": evaluation,
            "task": task,
            "language": answer.language,
            "sample_id": answer.sample_id,
            "item_id": answer.item_id,
            "cluster": answer.cluster,
            "metric": metric,
            "value": value,
            "status": status,
        }
        for answer, (status, value) in zip(answers, scored, strict=True)
    ]
    return pl.DataFrame(rows, schema=SCORES)
