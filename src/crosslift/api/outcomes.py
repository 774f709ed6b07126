"""Summary of evaluation outcomes, printed when a report is written: scored answers, and failures by status."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crosslift.execution.folder.step_graph import StepGraph


def outcomes(graph: StepGraph) -> Iterator[str]:
    """Summarise each evaluation: items, languages, answers by status, and range of the primary metric over runs.

    Args:
        graph: the steps of the study.

    Yields:
        One line per evaluation, and a second one with the commonest reason of failures, if there are any.
    """
    import polars as pl

    from crosslift.execution.folder.tables import read_table
    from crosslift.reporting.unscored import failure_hints
    from crosslift.scores import RANGES, STATUSES
    from crosslift.studies.study import primary_metric

    scores = read_table(graph.store.scores_file)
    hints = {hint.evaluation: hint for hint in failure_hints(graph.store, scores)}
    for name, evaluation in graph.study.evaluations.items():
        here = scores.filter(pl.col("evaluation") == name)
        metric = primary_metric(evaluation, evaluation.task, here["metric"].unique().to_list())
        found = here.filter(pl.col("metric") == metric)
        if found.is_empty():
            continue
        counts: dict[str, int] = dict(found["status"].value_counts().iter_rows())
        by_status = [f"{counts[status]:,} {status.replace('_', ' ')}" for status in STATUSES if status in counts]
        means: list[float] = found.group_by("run").agg(pl.col("value").mean())["value"].drop_nulls().to_list()
        score = ""
        if means and metric in RANGES:
            score = f"; {metric} {min(means):.2f} to {max(means):.2f}"
        elif means:
            score = f"; {metric} {100 * min(means):.1f} to {100 * max(means):.1f} %"
        yield (
            f"{name}: {found['item_id'].n_unique():,} items x {found['language'].n_unique()} languages, "
            f"{found['run'].n_unique()} runs, {found.height:,} answers: " + ", ".join(by_status) + score
        )
        if name in hints:
            yield f"{hints[name].sentence} Example ({hints[name].where}): {hints[name].quote}"
