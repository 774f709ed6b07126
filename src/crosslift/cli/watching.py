"""`crosslift status --watch`: the runs that are active, failed or waiting, with losses and the time left.

The table fits the height of the terminal: active runs first, then failed ones, then the others in the order of the
study. If the output is not a terminal, one line per minute is printed. The display ends when nothing is left to do.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from crosslift.cli.display import COLOURS, LINE_SECONDS, progress_line, progress_summary
from crosslift.cli.printing import cell, console, say
from crosslift.execution.folder.progress import TotalProgress
from crosslift.execution.inspection.status import Status, overall_progress
from crosslift.viewing.observer import Observer, open_read_only

REFRESH_SECONDS = 2.0
_ORDER = {"running": 0, "failed": 1, "damaged": 2}


def watch_status(folder: Path) -> None:
    """Display the runs of a study until no run is left, or until interrupted.

    Args:
        folder: the folder of the study.
    """
    observer = Observer(lambda: open_read_only(folder))
    screen = console()
    if not screen.is_terminal:
        _print_lines(observer)
        return
    found = observer.statuses()
    with Live(_table(found, screen.height), console=screen, auto_refresh=False) as live:
        while not _ended(found):
            time.sleep(REFRESH_SECONDS)
            found = observer.statuses()
            live.update(_table(found, screen.height), refresh=True)


def _print_lines(observer: Observer) -> None:
    while True:
        found = observer.statuses()
        say(progress_line(found, _total(found)))
        if _ended(found):
            return
        time.sleep(LINE_SECONDS)


def _ended(found: Sequence[Status]) -> bool:
    """Whether every run is done or failed, so that nothing more happens without a new `crosslift run`."""
    return all(one.what in ("done", "failed") for one in found)


def _total(found: Sequence[Status]) -> TotalProgress:
    return overall_progress(found, num_workers=max(1, sum(one.what == "running" for one in found)))


def _table(found: Sequence[Status], height: int) -> RenderableType:
    room = max(3, height - 6)  # summary, header, line of what is left out, and the prompt
    ordered = sorted(found, key=lambda one: _ORDER.get(one.what, 4 if one.what == "done" else 3))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("run", "state", "steps", "evaluations", "loss", "loss by language", ""):
        right = column in ("steps", "evaluations", "loss")
        table.add_column(column, justify="right" if right else "left", no_wrap=True, overflow="ellipsis")
    for one in ordered[:room]:
        table.add_row(*_columns(one))
    left_out = len(ordered) - room
    more = [Text(f"and {left_out} more runs; all: crosslift status", style="dim")] if left_out > 0 else []
    return Group(progress_summary(found, _total(found)), table, *more)


def _columns(one: Status) -> tuple[str | Text, ...]:
    progress, expected = one.progress, one.expected
    step = expected.num_steps if expected.trained else progress.step if progress else 0
    num_steps = expected.num_steps or (progress.num_steps if progress else 0)
    evaluations = max(expected.evaluations, progress.evaluations if progress else 0)
    losses = progress.last_losses if progress else {}
    return (
        Text(one.run, style="cyan" if one.what == "running" else ""),
        Text(one.what, style=COLOURS[one.what]),
        f"{step}/{num_steps}" if num_steps else "",
        f"{evaluations}/{expected.num_evaluations}" if expected.num_evaluations else "",
        f"{progress.loss:.3f}" if progress and progress.loss is not None else "",
        Text(" ".join(f"{tag} {loss:.2f}" for tag, loss in losses.items()), style="dim"),
        Text(cell(one.message.partition("\n")[0]) or (progress.phase if progress and one.what == "running" else "")),
    )
