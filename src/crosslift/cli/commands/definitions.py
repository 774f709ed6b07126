"""Commands for the definitions of a study: definitions, clean."""

from __future__ import annotations

from typing import Annotated

import typer

from crosslift.cli.arguments import Folder
from crosslift.cli.printing import cell, console, say


def definitions(folder: Folder) -> None:
    """List the definitions that a study has had. STUDY@2 names definition 2 in report and compare."""
    from rich.table import Table

    from crosslift.execution.definitions.records import definitions as all_definitions
    from crosslift.execution.definitions.records import described, present_definition
    from crosslift.execution.folder.store import Store

    store = Store(folder)
    store.lock()
    present = present_definition(store)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("definition", "runs", "evaluations done", "differs from the present one in"):
        table.add_column(column, justify="right" if column in ("runs", "evaluations done") else "left")
    for one in all_definitions(store):
        now = present is not None and one.number == present.number
        found = described(store, one)
        what = "present" if now else found.differences
        table.add_row(
            f"{folder.name}@{one.number}", str(one.num_runs), f"{found.num_done}/{found.num_evaluations}", cell(what)
        )
    console().print(table)


def clean(
    folder: Folder,
    *,
    checkpoints: Annotated[
        bool, typer.Option("--checkpoints", help="Remove only checkpoints; scores and predictions stay.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove the results of earlier definitions, after saying what they are and how much disk space they take."""
    from crosslift.execution.definitions.clean import clean as remove
    from crosslift.execution.definitions.clean import removable
    from crosslift.execution.folder.store import Store

    store = Store(folder)
    store.lock()
    found = removable(store, checkpoints_only=checkpoints)
    if not found.folders:
        say("There are no results of earlier definitions." if not checkpoints else "There are no earlier checkpoints.")
        return
    kinds = {"train": "trainings", "eval": "evaluations", "corpora": "corpora", "tokens": "token tables"}
    counts = ", ".join(f"{count} {kinds.get(kind, kind)}" for kind, count in found.counts.items())
    what = "checkpoints of earlier definitions" if checkpoints else "results of earlier definitions"
    say(f"{what}: {counts}; {size(found.num_bytes)}")
    if not yes:
        typer.confirm("Remove them?", abort=True)
    remove(store, found)
    say(f"Removed: {size(found.num_bytes)} are free.")


def size(num_bytes: int) -> str:
    """Format a size: `812 kB`, `3.4 MB`, `12 GB`."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if num_bytes >= factor:
            return f"{num_bytes / factor:.3g} {unit}"
    return f"{num_bytes / 1e3:.3g} kB"
