"""The commonest reason why answers could not be scored, with an example, for each evaluation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from crosslift.errors import StoreError
from crosslift.evaluation.task import task as find_task
from crosslift.evaluation.unscored import CUT_OFF, reason, remedy
from crosslift.languages.language import language
from crosslift.scores import MODEL_FAILURES

if TYPE_CHECKING:
    from crosslift.execution.folder.store import Store

MAX_CELLS = 120
"""Run x language cells of an evaluation whose answers are read, those with the most failures first."""
MAX_ANSWERS = 50
"""Failures of one cell that are looked at."""
MAX_QUOTED = 160
"""Characters of the example."""


@dataclass(frozen=True, kw_only=True)
class FailureHint:
    """Why answers of an evaluation could not be scored."""

    evaluation: str
    reason: str
    count: int
    num_examined: int
    """Unscored answers that were examined; all of them unless there are very many."""
    num_unscored: int
    run: str
    language: str
    quote: str
    """From the first such answer: its end if it was cut off, else its beginning."""

    @property
    def sentence(self) -> str:
        """The hint without the example."""
        examined = "" if self.num_examined == self.num_unscored else f" of {self.num_examined:,} examined"
        return (
            f"{self.evaluation}: most often, the answer is {self.reason} ({self.count:,}{examined} of "
            f"{self.num_unscored:,} unscored answers). {remedy(self.reason)}"
        )

    @property
    def where(self) -> str:
        """Run and language of the example."""
        return f"{self.run}, {self.language}"


def failure_hints(store: Store, scores: pl.DataFrame) -> list[FailureHint]:
    """Find the commonest reason of each evaluation.

    Args:
        store: the folder of the study, for the texts of the answers.
        scores: columns as in `scores.SCORES`.

    Returns:
        One hint per evaluation with unscored answers, in the order of the scores.
    """
    failed = scores.filter(pl.col("status").is_in(MODEL_FAILURES)).unique(
        ["run", "evaluation", "sample_id"], keep="first", maintain_order=True
    )
    hints = []
    for (evaluation, task), rows in failed.group_by("evaluation", "task", maintain_order=True):
        found = _examine(store, rows, str(evaluation), str(task))
        if found is not None:
            hints.append(found)
    return hints


def _examine(store: Store, rows: pl.DataFrame, evaluation: str, task: str) -> FailureHint | None:
    counts: Counter[str] = Counter()
    first: dict[str, dict[str, Any]] = {}
    cells = (
        rows.group_by("run", "language", maintain_order=True).len().sort("len", descending=True, maintain_order=True)
    )
    for run, tag in cells.select("run", "language").head(MAX_CELLS).iter_rows():
        for row in _answers(store, rows.filter(run=run, language=tag).head(MAX_ANSWERS), run, evaluation, tag):
            why = reason(
                find_task(task), status=row["status"], finish=row["finish"], text=row["text"], language=language(tag)
            )
            counts[why] += 1
            first.setdefault(why, row | {"run": run, "language": tag})
    if not counts:
        return None
    why, count = counts.most_common(1)[0]
    text = " ".join(first[why]["text"].split())
    return FailureHint(
        evaluation=evaluation,
        reason=why,
        count=count,
        num_examined=sum(counts.values()),
        num_unscored=rows.height,
        run=first[why]["run"],
        language=first[why]["language"],
        quote=_quoted(text, end=why == CUT_OFF),
    )


def _answers(store: Store, rows: pl.DataFrame, run: str, evaluation: str, tag: str) -> Iterable[dict[str, Any]]:
    try:
        texts = store.predictions(run, evaluation, tag).select("sample_id", "text", "finish")
    except StoreError:  # damaged; the report lists it
        return []
    return rows.join(texts, on="sample_id", how="inner", maintain_order="left").iter_rows(named=True)


def _quoted(text: str, *, end: bool) -> str:
    if len(text) <= MAX_QUOTED:
        return text
    return f"… {text[-MAX_QUOTED:]}" if end else f"{text[:MAX_QUOTED]} …"
