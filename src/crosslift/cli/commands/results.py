"""report, score: what is made from results that are there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from crosslift.cli.arguments import Folder, open_study
from crosslift.errors import StoreError

if TYPE_CHECKING:
    from crosslift.execution.folder.ledger import Ledger


def report(folder: Folder) -> None:
    """Estimates, tables, figures and the HTML page, from the scores that there are."""
    from crosslift.execution.folder.result_tables import rebuild

    ledger = open_study(folder)
    ledger.store.lock()
    states = ledger.states()
    if not any(state.results for state in states.values()):
        raise StoreError(f"nothing of {folder} has been evaluated yet. Run: crosslift run {folder}")
    typer.echo(str(update_report(ledger, rebuild(ledger, states), anew=True)))


def score(folder: Folder) -> None:
    """Score all predictions anew, after a task's code has changed. Nothing is trained or generated."""
    from crosslift.execution.phases.rescore import rescore_all

    ledger = open_study(folder)
    num_steps, num_errors = rescore_all(ledger, say=typer.echo)
    typer.echo(f"{num_steps} evaluations scored anew. Now: crosslift report {folder}")
    if num_errors:
        typer.echo(f"{num_errors} samples could not be scored. See the lines above.", err=True)
        raise typer.Exit(1)


def update_report(ledger: Ledger, tables: Mapping[str, str], *, anew: bool = False) -> Path:
    """Write the report unless it already tells of these tables (`anew`: in any case). Two starts at once write it one
    after the other."""
    from crosslift.execution.folder.result_tables import report_step
    from crosslift.leases import waiting_claim

    step = report_step(ledger.study, ledger.store, tables)
    page = ledger.store.report_folder / "index.html"
    if step.done() and page.is_file() and not anew:
        return page
    with waiting_claim(ledger.store.folder):
        if anew or not step.done():
            from crosslift.cli.outcomes import outcomes
            from crosslift.reporting.report import write

            for line in outcomes(ledger):
                typer.echo(line)
            typer.echo("Writing the report")
            page = write(ledger.store, ledger.study)
            step.finish()
    return page
