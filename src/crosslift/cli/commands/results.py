"""Commands that process existing results: report, score."""

from __future__ import annotations

import typer

from crosslift.cli.arguments import Folder, open_study, report_damage
from crosslift.cli.printing import say


def report(folder: Folder) -> None:
    """Write estimates, tables, figures and the HTML page from the available scores. STUDY@2: of definition 2."""
    from crosslift.api.opening import open_results, split_definition
    from crosslift.api.running import report_of, report_results

    if split_definition(folder)[1] is not None:
        study, store = open_results(folder)
        page = report_results(study, store)
        report_damage(store)
        say(str(page))
        return
    graph = open_study(folder, data="optional")
    page = report_of(graph, say=say)
    report_damage(graph.store)
    say(str(page))


def score(folder: Folder) -> None:
    """Score all predictions again after the code of a task has changed, without training or generation."""
    from crosslift.execution.phases.rescore import rescore_all

    graph = open_study(folder, data="optional")
    num_steps, num_errors = rescore_all(graph, say=say)
    report_damage(graph.store)
    say(f"{num_steps} evaluations were scored again. Next: crosslift report {folder}")
    if num_errors:
        say(f"{num_errors} samples could not be scored. See the lines above.", err=True)
        raise typer.Exit(1)
