"""Progress display of a study: an overall bar, one line per active run, and the estimated remaining time.

All information is read from the study's folder, so it covers workers of this process, another terminal or a cluster. If
the output is not a terminal (a log file, CI), one plain line per minute is printed instead.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from crosslift.cli.printing import cell, console, say
from crosslift.execution.folder.progress import Progress, TotalProgress
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.inspection.status import Status, StatusPoller, losses, overall_progress, quick_status
from crosslift.execution.workers.queue import queue_lines

LINE_SECONDS = 60.0
LOOK_SECONDS = 0.5
MAX_ROWS_OF_RICH = 1000
"""Longer tables are printed as plain columns, because rich takes a millisecond per row."""
COLOURS = {
    "done": "green",
    "running": "cyan",
    "failed": "red",
    "to evaluate": "yellow",
    "missing": "default",
    "changed": "magenta",
    "damaged": "red",
}


class Watcher:
    """Context manager that displays the progress of a study's missing runs.

    Args:
        graph: the steps of the study.
        num_workers: number of workers, for the estimate of the remaining time.
    """

    def __init__(self, graph: StepGraph, *, num_workers: int) -> None:
        self._graph = graph
        self._num_workers = num_workers
        self._console = console(err=True)
        self._live = Live(console=self._console, transient=True, auto_refresh=False)
        self._last_line = time.monotonic()

    def watch(self, missing: Sequence[str]) -> Callable[[], None]:
        """Return a callback that updates the display; to be called about twice a second.

        Args:
            missing: names of the missing runs.
        """
        poller = StatusPoller(self._graph, [self._graph.runs[name] for name in missing])
        last = 0.0

        def tick() -> None:
            nonlocal last
            if time.monotonic() - last < LOOK_SECONDS:
                return
            last = time.monotonic()
            found = poller.look()
            if self._console.is_terminal:
                self._live.start()
                self._live.update(
                    progress_summary(found, overall_progress(found, num_workers=self._num_workers)), refresh=True
                )
            elif time.monotonic() - self._last_line >= LINE_SECONDS:
                self._last_line = time.monotonic()
                say(progress_line(found, overall_progress(found, num_workers=self._num_workers)))

        return tick

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()


def print_status(graph: StepGraph) -> None:
    """Print a table of all runs and the damaged files."""
    found = quick_status(graph)
    if len(found) > MAX_ROWS_OF_RICH:
        for line in _plain_table(found, losses(graph, found)):
            say(line)
    else:
        console().print(_table(found, losses(graph, found)))
    for line in (
        *queue_lines(graph.store.folder),
        *_messages(found),
        *graph.store.damage_lines(),
        *(f"missing: {one}" for one in graph.study.absent),
    ):
        say(line)


def progress_summary(found: Sequence[Status], summed: TotalProgress) -> RenderableType:
    """The overall bar with the time left, and one line per active run."""
    head = Table.grid(padding=(0, 2))
    head.add_row(
        f"{_count(found, 'done')} of {len(found)} runs",
        ProgressBar(total=summed.total or 1, completed=summed.done, width=40),
        f"{summed.done / summed.total:.0%}" if summed.total else "",
        f"{duration(summed.seconds_left)} left" if summed.seconds_left is not None else "measuring",
        Text(f"{_count(found, 'failed')} failed" if _count(found, "failed") else "", style="red"),
    )
    lines = Table.grid(padding=(0, 2))
    for name, progress in summed.active.items():
        lines.add_row(Text(name, style="cyan"), *_columns(progress))
    return Group(head, lines)


def _columns(progress: Progress) -> tuple[str, str, str]:
    if progress.phase == "training":
        speed = f"{progress.tokens_per_second:,.0f} tokens/s" if progress.tokens_per_second else ""
        loss = f"loss {progress.loss:.3f}" if progress.loss is not None else ""
        return f"step {progress.step} of {progress.num_steps}", loss, speed
    return progress.phase, f"{progress.evaluations} of {progress.num_evaluations}", ""


def progress_line(found: Sequence[Status], summed: TotalProgress) -> str:
    """One line: time of day, share of the work, time left, and counts of runs."""
    left = f", {duration(summed.seconds_left)} left" if summed.seconds_left is not None else ""
    share = f"{summed.done / summed.total:.0%}" if summed.total else "0%"
    counts = f"{_count(found, 'done')} of {len(found)} runs done, {_count(found, 'failed')} failed"
    return f"{time.strftime('%H:%M:%S')} {share}{left}: {counts}"


def _table(found: Sequence[Status], losses: Mapping[str, float]) -> RenderableType:
    """One line per run: messages are truncated to the width, and printed in full by `_messages`."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("run", "state", "steps", "evaluations", "loss", ""):
        justify: Literal["left", "right"] = "right" if column in ("steps", "evaluations", "loss") else "left"
        table.add_column(
            column, justify=justify, no_wrap=True, overflow="ellipsis" if column in ("run", "") else "fold"
        )
    for one in found:
        name, what, steps, evaluations, loss, message = _cells(one, losses)
        table.add_row(name, Text(what, style=COLOURS[what]), steps, evaluations, loss, message)
    return Group(table, Text(_counts(found), style="bold"))


def _plain_table(found: Sequence[Status], losses: Mapping[str, float]) -> list[str]:
    """Return the rows of `_table` without styles."""
    rows = [("run", "state", "steps", "evaluations", "loss", ""), *(_cells(one, losses) for one in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    aligned = (str.ljust, str.ljust, str.rjust, str.rjust, str.rjust)
    lines = [
        "  ".join((*(place(text, width) for place, text, width in zip(aligned, row, widths, strict=False)), row[5]))
        for row in rows
    ]
    return [*(line.rstrip() for line in lines), _counts(found)]


def _cells(one: Status, losses: Mapping[str, float]) -> tuple[str, str, str, str, str, str]:
    progress = one.progress if one.what == "running" else None
    step = one.expected.num_steps if one.expected.trained else progress.step if progress else 0
    evaluations = max(one.expected.evaluations, progress.evaluations if progress else 0)
    return (
        one.run,
        one.what,
        f"{step}/{one.expected.num_steps}" if one.expected.num_steps else "",
        f"{evaluations}/{one.expected.num_evaluations}" if one.expected.num_evaluations else "",
        f"{losses[one.run]:.3f}" if one.run in losses else "",
        cell(one.message).replace("\n", " ") or (progress.phase if progress else ""),
    )


def _counts(found: Sequence[Status]) -> str:
    counts: Counter[str] = Counter(one.what for one in found)
    return ", ".join(f"{counts[what]} {what}" for what in COLOURS if counts[what])


def _messages(found: Sequence[Status]) -> list[str]:
    """Return each message of the runs in full and once, with the state and the number of the runs."""
    runs: dict[tuple[str, str], list[str]] = {}
    for one in found:
        if one.message:
            runs.setdefault((one.what, one.message), []).append(one.run)
    return [
        f"{names[0]} {what}: {message}" if len(names) == 1 else f"{len(names)} runs {what}: {message}"
        for (what, message), names in runs.items()
    ]


def _count(found: Sequence[Status], what: str) -> int:
    return sum(one.what == what for one in found)


def duration(seconds: float) -> str:
    """Format a duration in seconds: `40 s`, `12 min`, `3 h 20 min`, `2 d 4 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
