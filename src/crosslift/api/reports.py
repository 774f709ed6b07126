"""Reports of a study: written when they are out of date, with a summary of the evaluations on the screen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from crosslift.errors import StoreError

if TYPE_CHECKING:
    from crosslift.execution.folder.step_graph import StepGraph
    from crosslift.execution.folder.store import Store
    from crosslift.studies.study import Study

Say = Callable[[str], None]


def report_of(graph: StepGraph, *, say: Say) -> Path:
    """Write the report from the available scores, whether or not it is up to date.

    Args:
        graph: the steps of the study.
        say: receives lines of progress.

    Returns:
        Path of the HTML page.

    Raises:
        NotPrepared: the study file was edited since the study was run.
        StoreError: the study has not been prepared, or nothing has been evaluated; damaged files are listed.
    """
    from crosslift.execution.folder.result_tables import rebuild_result_tables
    from crosslift.execution.phases.prepare import require_prepared

    require_prepared(graph)
    states = graph.states(thorough=True)
    if not any(state.results for state in states.values()):
        for line in graph.store.damage_lines():
            say(line)
        folder = graph.study.folder
        raise StoreError(f"nothing of {folder} has been evaluated yet. Run: crosslift run {folder}")
    return update_report(graph, rebuild_result_tables(graph, states), say=say, force=True)


def report_results(study: Study, store: Store) -> Path:
    """Write the report of an earlier definition into a folder of its own.

    Args:
        study: the study as it was defined.
        store: the results of the definition.

    Returns:
        Path of the HTML page.

    Raises:
        StoreError: nothing of the definition has been evaluated, or its results were removed.
    """
    from crosslift.reporting.data import collect
    from crosslift.reporting.report import publish

    data = collect(store, study)
    if data.scores.is_empty():
        raise StoreError(
            f"{store.report_folder.parent} has no results: nothing was evaluated, or crosslift clean removed them."
        )
    return publish(data, store.report_folder)


def update_report(graph: StepGraph, tables: Mapping[str, str], *, say: Say, force: bool = False) -> Path:
    """Write the report if it is out of date. Concurrent processes write it one after the other.

    Args:
        graph: the steps of the study.
        tables: table -> fingerprint, from `rebuild_result_tables`.
        say: receives lines of progress.
        force: write the report even if it is up to date.

    Returns:
        Path of the HTML page.
    """
    from crosslift.execution.folder.result_tables import report_step
    from crosslift.system.files import remove_leftovers
    from crosslift.system.leases import waiting_lease

    step = report_step(graph.study, graph.store, tables)
    page = graph.store.report_folder / "index.html"
    remove_leftovers(graph.store.folder)
    remove_leftovers(graph.store.report_folder, below=True)
    if step.done() and page.is_file() and not force:
        return page
    for damage in step.state().damage:
        say(f"damaged: {damage}")
    with waiting_lease(graph.store.folder):
        if force or not step.done():
            from crosslift.reporting.data import collect
            from crosslift.reporting.report import publish

            for line in outcomes(graph):
                say(line)
            say("Writing the report")
            page = publish(collect(graph.store, graph.study), graph.store.report_folder)
            step.finish()
    return page


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
    from crosslift.studies.evaluation import primary_metric

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
