"""new, check, plan, prepare: what comes before any run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crosslift.cli.arguments import Folder, open_study

if TYPE_CHECKING:
    from crosslift.execution.ledger import Ledger
    from crosslift.studies.plan import Plan


def new(
    preset: Annotated[str, typer.Argument(metavar="PRESET", help="See: crosslift list presets")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write; must not exist or be empty.")],
) -> None:
    """Write a study folder to start from."""
    from crosslift.errors import StoreError
    from crosslift.files import write_text
    from crosslift.studies.presets import preset_text

    text = preset_text(preset)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StoreError(f"{folder} exists and is not an empty folder. Name another, or remove it.")
    write_text(folder / "study.toml", text)
    typer.echo(f"Wrote {folder / 'study.toml'}. Next: crosslift check {folder}")


def check(folder: Folder) -> None:
    """Load everything, report every problem at once, touch nothing."""
    from crosslift.execution.check import check as check_data

    ledger = open_study(folder)
    check_data(ledger, say=typer.echo)
    typer.echo(f"{len(ledger.runs)} runs. Nothing is wrong. Next: crosslift plan {folder}")


def plan(folder: Folder) -> None:
    """The runs with examples, tokens and steps; what is done; disk; what the design cannot tell. Touches nothing."""
    from rich.console import Console
    from rich.table import Table

    from crosslift.execution.status import status
    from crosslift.studies.plan import plan as make_plan

    ledger = open_study(folder)
    prepared = ledger.store.lock_file.is_file()
    planned = make_plan(ledger.study, manifests=ledger.store.manifests() if prepared else None)
    found = {one.run: one for one in status(ledger)}
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("run")
    for column in ("examples", "tokens", "steps", "evaluations"):
        table.add_column(column, justify="right")
    table.add_column("state")
    for run in planned.runs:
        counts = (run.num_examples, run.num_tokens, run.num_steps, len(run.evaluations))
        table.add_row(run.name, *(_count(count) for count in counts), found[run.name].what)
    Console().print(table)
    states = Counter(one.what for one in found.values())
    typer.echo(f"\n{len(planned.runs)} runs: " + ", ".join(f"{count} {what}" for what, count in states.items()))
    typer.echo(_totals(planned))
    for one in found.values():
        if one.what == "stale":
            typer.echo(f"stale: {one.message}")
    for warning in [*planned.warnings, *_left_behind(ledger, prepared)]:
        typer.echo(f"warning: {warning}")


def prepare(folder: Folder) -> None:
    """Corpora, tokens and mixtures, with all downloads. Later steps work offline."""
    from crosslift.execution.prepare import prepare as prepare_all

    ledger = open_study(folder)
    prepare_all(ledger, say=typer.echo)
    typer.echo(f"{len(ledger.runs)} runs are ready. Next: crosslift run {folder}")


def _totals(planned: Plan) -> str:
    steps = f"{_count(planned.num_steps)} training steps" if planned.num_steps is not None else "unknown steps"
    disk = "unknown" if planned.disk_bytes is None else f"about {planned.disk_bytes / 1e9:.3g} GB"
    return f"{steps}, {planned.num_evaluations:,} evaluations in one language; checkpoints {disk}"


def _count(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"


def _left_behind(ledger: Ledger, prepared: bool) -> list[str]:
    """What the folder holds that the study does not ask for, and scores that a changed task would give otherwise."""
    from crosslift.execution.prepare import task_revision

    if not prepared:
        return []
    warnings = [
        f"runs/{name} is in no study any more; its results are not used. Move the folder, or bring the run back."
        for name in ledger.store.unknown_runs()
    ]
    for task, revision in ledger.store.lock()["tasks"].items():
        if task_revision(task) != revision:
            warnings.append(f"task {task} has changed since its scores were made. Run: crosslift score")
    return warnings
