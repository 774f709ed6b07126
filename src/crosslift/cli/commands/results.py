"""Commands that process existing results: report, score."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from crosslift.cli.arguments import Folder, open_results, open_study, report_damage, split_definition
from crosslift.cli.printing import say
from crosslift.errors import StoreError

if TYPE_CHECKING:
    from crosslift.execution.folder.step_graph import StepGraph


def report(folder: Folder) -> None:
    """Write estimates, tables, figures and the HTML page from the available scores. STUDY@2: of definition 2."""
    if split_definition(folder)[1] is not None:
        _report_definition(folder)
        return
    from crosslift.execution.folder.result_tables import rebuild_result_tables
    from crosslift.execution.phases.prepare import require_prepared

    graph = open_study(folder)
    require_prepared(graph)
    states = graph.states(thorough=True)
    if not any(state.results for state in states.values()):
        for line in graph.store.damage_lines():
            say(line, err=True)
        raise StoreError(f"nothing of {folder} has been evaluated yet. Run: crosslift run {folder}")
    page = update_report(graph, rebuild_result_tables(graph, states), force=True)
    report_damage(graph.store)
    say(str(page))


def _report_definition(folder: Path) -> None:
    """Write the report of an earlier definition into a folder of its own."""
    from crosslift.reporting.data import collect
    from crosslift.reporting.report import publish

    study, store = open_results(folder)
    data = collect(store, study)
    report_damage(store)
    if data.scores.is_empty():
        raise StoreError(f"nothing of {folder} has been evaluated, or its results were removed by crosslift clean.")
    say(str(publish(data, store.report_folder)))


def score(folder: Folder) -> None:
    """Score all predictions again after the code of a task has changed, without training or generation."""
    from crosslift.execution.phases.rescore import rescore_all

    graph = open_study(folder)
    num_steps, num_errors = rescore_all(graph, say=say)
    report_damage(graph.store)
    say(f"{num_steps} evaluations were scored again. Next: crosslift report {folder}")
    if num_errors:
        say(f"{num_errors} samples could not be scored. See the lines above.", err=True)
        raise typer.Exit(1)


def update_report(graph: StepGraph, tables: Mapping[str, str], *, force: bool = False) -> Path:
    """Write the report if it is out of date. Concurrent processes write it one after the other.

    Args:
        graph: the steps of the study.
        tables: table -> fingerprint, from `rebuild_result_tables`.
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
            from crosslift.cli.outcomes import outcomes
            from crosslift.reporting.data import collect
            from crosslift.reporting.report import publish

            for line in outcomes(graph):
                say(line)
            say("Writing the report")
            page = publish(collect(graph.store, graph.study), graph.store.report_folder)
            step.finish()
    return page
