"""Interface of trackers, and the guard around them.

A tracker shows losses and scores in a program that people already have. It is a module in `trackers/` with

    OPTIONS: dict[str, type]                                options of its table in the site file
    start(run: TrackedRun, **options) -> Tracker            begins a run; imports its package

Trackers are chosen in the site file ([trackers.<name>]), never in the study: they cannot change a result. What a worker
reports is passed on, and an error of a tracker never fails a run: it is logged once, and the worker goes on without it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from crosslift.discover import member
from crosslift.errors import CrossliftError
from crosslift.execution.folder.progress import Progress
from crosslift.execution.folder.steps import EvaluationStep
from crosslift.execution.folder.tables import read_step_table
from crosslift.extras import missing
from crosslift.studies.run import Run

log = logging.getLogger(__name__)

Trackers = Mapping[str, Mapping[str, Any]]
"""Tracker -> its options."""


@dataclass(frozen=True, kw_only=True)
class TrackedRun:
    """The run that a tracker shows."""

    study: str
    run: str
    facts: Mapping[str, str | int]
    """Model, mixture and seed."""
    folder: Path
    """Folder for the tracker's files: trackers/<tracker>/ in the folder of the study."""


def facts_of(run: Run) -> dict[str, str | int]:
    """What trackers show beside the name of a run."""
    return {
        "model": run.model.name,
        "mixture": "base" if run.mixture is None else run.mixture.name,
        "seed": run.seed,
    }


class Tracker(Protocol):
    """A begun run of a tracker."""

    def log(self, values: Mapping[str, float], *, step: int) -> None:
        """Record numbers, named as in `Tracking`, at a training step."""

    def finish(self) -> None:
        """Write what is left."""


class Tracking:
    """The trackers of a worker, and the runs that they show.

    A run may be trained and evaluated at different times, and several runs at a time. It is begun once, and ended when
    the worker has finished it.

    Args:
        trackers: tracker -> options.
    """

    def __init__(self, trackers: Trackers) -> None:
        self._chosen = dict(trackers)
        self._runs: dict[str, RunTracking] = {}

    def begin(self, study: str, run: str, facts: Mapping[str, str | int], folder: Path) -> RunTracking:
        """Begin a run with every tracker that has not failed before, or go on with one that has not ended.

        Args:
            study: name of the study.
            run: name of the run.
            facts: model, mixture and seed.
            folder: parent of the trackers' folders.

        Returns:
            The run.
        """
        if run not in self._runs:
            self._runs[run] = begun = RunTracking(self._switch_off)
            for name, options in list(self._chosen.items()):
                about = TrackedRun(study=study, run=run, facts=facts, folder=folder / name)
                try:
                    about.folder.mkdir(parents=True, exist_ok=True)
                    begun.trackers[name] = member("tracker", name).start(about, **options)
                except Exception as error:
                    self._switch_off(name, error)
        return self._runs[run]

    def end(self, run: str) -> None:
        """End a run; does nothing if it was not begun."""
        if run in self._runs:
            self._runs.pop(run).finish()

    def close(self) -> None:
        """End all runs."""
        for run in list(self._runs):
            self.end(run)

    def _switch_off(self, name: str, error: Exception) -> None:
        """Say once that a tracker failed, and go on without it."""
        if self._chosen.pop(name, None) is None:
            return
        for run in self._runs.values():
            run.trackers.pop(name, None)
        known = missing(error) if isinstance(error, ImportError) else None
        log.warning("the tracker '%s' is switched off, the runs go on: %s", name, known or f"{error!r}")


class RunTracking:
    """Passes on what a worker reports of a run.

    Names of the numbers: "loss/all" and "loss/<language>" (nats per completion token), "speed" (tokens per second),
    and "<evaluation>/<language>/<metric>" (mean, 0 to 1).

    Args:
        switch_off: called with the name of a tracker that failed, and its error.
    """

    def __init__(self, switch_off: Callable[[str, Exception], None]) -> None:
        self.trackers: dict[str, Tracker] = {}
        self._switch_off = switch_off
        self._num_rows = 0
        self._step = 0

    def progress(self, now: Progress) -> None:
        """Record the losses that were added since the last call."""
        steps = now.curve.get("step", [])
        for place in range(self._num_rows, len(steps)):
            values = {
                f"loss/{name}": losses[place]
                for name, losses in now.curve.items()
                if name != "step" and losses[place] is not None
            }
            if place == len(steps) - 1 and now.tokens_per_second:
                values["speed"] = now.tokens_per_second
            self._step = int(steps[place] or 0)
            self._log({name: float(value) for name, value in values.items() if value is not None})
        self._num_rows = len(steps)
        self._step = max(self._step, now.step)

    def scores(self, one: EvaluationStep) -> None:
        """Record the means of a finished evaluation."""
        if not self.trackers:
            return
        try:
            table = read_step_table(one.step.folder, "scores.parquet")
            means = table.drop_nulls("value").group_by("metric", maintain_order=True).agg(pl.col("value").mean())
        except CrossliftError as error:
            log.warning("the scores of %s are not tracked: %s", one.step.name, error)
            return
        self._log({f"{one.evaluation.name}/{one.language}/{metric}": value for metric, value in means.iter_rows()})

    def finish(self) -> None:
        """End the run."""
        self._each(lambda tracker: tracker.finish())
        self.trackers.clear()

    def _log(self, values: Mapping[str, float]) -> None:
        self._each(lambda tracker: tracker.log(values, step=self._step))

    def _each(self, call: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self.trackers.items()):
            try:
                call(tracker)
            except Exception as error:
                self.trackers.pop(name, None)
                self._switch_off(name, error)


def unavailable(trackers: Trackers) -> list[str]:
    """Messages about chosen trackers whose package is not installed, without importing it.

    Args:
        trackers: tracker -> options.

    Returns:
        One line per tracker.
    """
    lines = []
    for name in trackers:
        package = member("tracker", name).PACKAGE
        if find_spec(package) is None:
            error = missing(ModuleNotFoundError(f"No module named '{package}'", name=package))
            lines.append(f"The tracker '{name}' is switched off, the runs go on: {error}")
    return lines
