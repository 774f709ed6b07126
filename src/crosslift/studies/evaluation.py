"""Evaluations of a study: what is asked, of which runs, and which metric counts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from crosslift.discover import member
from crosslift.scores import RATING


@dataclass(frozen=True, kw_only=True)
class Shots:
    """Worked examples before each question: the first items of a corpus, in the language of the question."""

    corpus: str
    number: int
    corpus_of: Mapping[str, str] = field(default_factory=dict)
    """Language -> corpus, if several corpora are joined."""

    def corpus_in(self, tag: str) -> str:
        """The corpus of the examples in a language."""
        return self.corpus_of.get(tag, self.corpus)

    @property
    def corpora(self) -> tuple[str, ...]:
        """The corpora of the examples."""
        return tuple(dict.fromkeys([self.corpus, *self.corpus_of.values()]))


@dataclass(frozen=True, kw_only=True)
class Judging:
    """How a judge rates answers."""

    prompt: str = "short"
    """Name of a form in `judging/prompts`, or the path of a text file."""
    lowest: tuple[str, ...] = ("truncated", "unparsed", "wrong_language")
    """Statuses whose answers get the lowest rating without being shown to the judge."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    name: str
    corpus: str
    """The corpus of the test items; the first one if several are joined."""
    task: str
    languages: tuple[str, ...]
    max_tokens: int
    generator: str = "hf"
    require_language: bool = False
    shots: Shots | None = None
    corpus_of: Mapping[str, str] = field(default_factory=dict)
    """Language -> corpus, if corpora with the same items in different languages are joined."""
    stop: tuple[str, ...] = ()
    """An answer ends before the first of these texts."""
    judging: Judging | None = None
    """None: as by default."""
    metric: str = ""
    """Primary metric; it selects among the scores and changes none of them."""
    every_run: bool = False
    """Whether runs that were not trained on the task are evaluated too."""
    chat_template: bool = False
    """Whether a task by likelihood asks in the model's chat template."""

    def corpus_in(self, tag: str) -> str:
        """The corpus of the test items in a language."""
        return self.corpus_of.get(tag, self.corpus)

    @property
    def corpora(self) -> tuple[str, ...]:
        """The corpora of the test items."""
        return tuple(dict.fromkeys([self.corpus, *self.corpus_of.values()]))


def primary_metric(evaluation: Evaluation | None, task: str, scored: Collection[str]) -> str:
    """The metric of an evaluation's figures, findings and contrasts.

    Args:
        evaluation: The evaluation; None for results that the study file does not describe.
        task: Its task.
        scored: Metrics that have scores.

    Returns:
        The metric that the evaluation names; the first of the task if that is a judge's and has no scores yet.
    """
    named = "" if evaluation is None else evaluation.metric
    if named in scored or (named and not by_judge(named)):
        return named
    return str(member("task", task.partition(":")[0]).METRICS[0])


def by_judge(metric: str) -> bool:
    """Whether a metric is a judge's, which no task has: a rating, or wins over a run."""
    return metric == RATING or metric.startswith("wins_over_")


def primary_metrics(evaluations: Mapping[str, Evaluation], scored: Iterable[tuple[str, str, str]]) -> dict[str, str]:
    """Return evaluation -> primary metric, see `primary_metric`.

    Args:
        evaluations: The evaluations of the study.
        scored: (evaluation, task, metric) of all scores; evaluations that the study lacks are included.
    """
    metrics: dict[tuple[str, str], list[str]] = {}
    for name, task, metric in scored:
        metrics.setdefault((name, task), []).append(metric)
    return {name: primary_metric(evaluations.get(name), task, found) for (name, task), found in metrics.items()}
