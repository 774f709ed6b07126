"""Interface of trackers, and the guard around them.

A tracker shows losses and scores in a program that people already have. It is a module in `trackers/` with

    OPTIONS: dict[str, type]                                options of its table in the site file
    start(run: TrackedRun, **options) -> Tracker            begins a run; imports its package

Trackers are chosen in the site file ([trackers.<name>]), never in the study: they cannot change a result. What a worker
reports is passed on, and an error of a tracker never fails a run: it is logged once, and the worker goes on without it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

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
    """Passes on what a worker reports, run after run.

    Names of the numbers: "loss/all" and "loss/<language>" (nats per completion token), "speed" (tokens per second),
    and "<evaluation>/<language>/<metric>" (mean, 0 to 1).

    Args:
        trackers: tracker -> options.
    """

    def __init__(self, trackers: Trackers) -> None:
        self._chosen = dict(trackers)
        self._begun: dict[str, Tracker] = {}
        self._num_rows = 0
        self._step = 0

    def start(self, study: str, run: str, facts: Mapping[str, str | int], folder: Path) -> None:
        """Begin a run with every tracker that has not failed before.

        Args:
            study: name of the study.
            run: name of the run.
            facts: model, mixture and seed.
            folder: parent of the trackers' folders.
        """
        self.finish()
        self._num_rows = self._step = 0
        for name, options in list(self._chosen.items()):
            about = TrackedRun(study=study, run=run, facts=facts, folder=folder / name)
            try:
                about.folder.mkdir(parents=True, exist_ok=True)
                self._begun[name] = member("tracker", name).start(about, **options)
            except Exception as error:
                self._drop(name, error)

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
        if not self._begun:
            return
        try:
            table = read_step_table(one.step.folder, "scores.parquet")
            means = table.drop_nulls("value").group_by("metric", maintain_order=True).mean()
        except CrossliftError as error:
            log.warning("the scores of %s are not tracked: %s", one.step.name, error)
            return
        rows = means.select("metric", "value").iter_rows()
        self._log({f"{one.evaluation.name}/{one.language}/{metric}": float(value) for metric, value in rows})

    def finish(self) -> None:
        """End the run."""
        for name, tracker in list(self._begun.items()):
            try:
                tracker.finish()
            except Exception as error:
                self._drop(name, error)
        self._begun.clear()

    def _log(self, values: Mapping[str, float]) -> None:
        for name, tracker in list(self._begun.items()):
            try:
                tracker.log(values, step=self._step)
            except Exception as error:
                self._drop(name, error)

    def _drop(self, name: str, error: Exception) -> None:
        """Say once that a tracker failed, and go on without it."""
        self._chosen.pop(name, None)
        self._begun.pop(name, None)
        known = missing(error) if isinstance(error, ImportError) else None
        log.warning("the tracker '%s' is switched off, the runs go on: %s", name, known or f"{error!r}")


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
