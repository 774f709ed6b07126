"""Status of every run, read from the folder and therefore independent of the executor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from crosslift.errors import StaleStep, StoreError
from crosslift.execution.folder.checksums import damage_of
from crosslift.execution.folder.progress import ExpectedWork, Progress, TotalProgress, read_progress, total_progress
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.studies.run import Run
from crosslift.training.trainer import num_steps

RunStatus = Literal["done", "running", "failed", "missing", "stale", "damaged"]


@dataclass(frozen=True, kw_only=True)
class Status:
    """Status of a run."""

    run: str
    what: RunStatus
    expected: ExpectedWork
    progress: Progress | None
    message: str = ""
    """Reason if the run failed, is stale or is damaged; for a done run, damage that does not affect its results."""


def status(graph: StepGraph, runs: Iterable[Run] | None = None) -> list[Status]:
    """Determine the status of runs without writing to the folder.

    Args:
        graph: the steps of the study.
        runs: the runs; None for all runs of the study.

    Returns:
        One status per run, in the given order.
    """
    chosen = list(graph.runs.values() if runs is None else runs)
    why: StaleStep | StoreError | None = None
    prepared = graph.store.lock_file.exists()  # otherwise inputs are not read, because they may not exist yet
    try:
        for step in graph.prepared_steps() if prepared else ():
            found = step.state()
            graph.store.note_damage(step.name, found.damage)
            prepared &= found.outputs is not None  # damaged files can be restored; the marker holds their metadata
    except (StaleStep, StoreError) as error:
        prepared, why = False, error
    if prepared:
        recorded = graph.store.lock()["runs"]
        return [_of(graph, run, recorded) for run in chosen]
    return [_unprepared(graph, run, why) for run in chosen]


class StatusPoller:
    """Determines the status of runs repeatedly at low cost, so that polling 200 runs twice a second does not slow the
    workers down. A run is checked in full only when a worker releases it.

    Args:
        graph: the steps of the study.
        runs: the runs to observe.
    """

    def __init__(self, graph: StepGraph, runs: Iterable[Run]) -> None:
        self._graph = graph
        self._last = {one.run: one for one in status(graph, runs)}
        lock = graph.store.lock_if_intact()
        self._recorded = {} if lock is None else lock["runs"]

    def look(self) -> list[Status]:
        """Return the current status of the runs."""
        for name, before in self._last.items():
            if before.what in ("done", "failed"):
                continue
            folder = self._graph.store.run_folder(name)
            if self._graph.store.holder(name) is not None:
                self._last[name] = replace(before, what="running", progress=read_progress(folder))
            elif before.what == "running" or any((folder / name).is_file() for name in ("error.json", "progress.json")):
                self._last[name] = _of(self._graph, self._graph.runs[name], self._recorded)
        return list(self._last.values())


def overall_progress(found: Iterable[Status], *, num_workers: int) -> TotalProgress:
    """Compute the progress of all runs together and the remaining time.

    Args:
        found: status of each run.
        num_workers: number of workers.

    Returns:
        The total progress.
    """
    return total_progress(
        ((one.run, one.expected, one.progress, one.what == "running") for one in found), num_workers=num_workers
    )


def _unprepared(graph: StepGraph, run: Run, why: StaleStep | StoreError | None) -> Status:
    unknown = ExpectedWork(num_steps=0, num_evaluations=0, trained=False, evaluations=0)
    if why is not None and graph.store.has_results(run.name):
        what: RunStatus = "stale" if isinstance(why, StaleStep) else "damaged"
        return Status(run=run.name, what=what, expected=unknown, progress=None, message=str(why))
    return Status(run=run.name, what="missing", expected=unknown, progress=None)


def _of(graph: StepGraph, run: Run, recorded: Mapping[str, Any]) -> Status:
    """Return the status of a run in a prepared study. `recorded`: the runs in lock.json."""
    folder = graph.store.run_folder(run.name)
    steps = graph.steps(run)
    num_training_steps = _num_steps(graph, run, recorded)
    try:
        state = graph.state(run)
    except StaleStep as error:
        expected = ExpectedWork(
            num_steps=num_training_steps, num_evaluations=len(steps.evaluations), trained=False, evaluations=0
        )
        return Status(run=run.name, what="stale", expected=expected, progress=None, message=str(error))
    expected = ExpectedWork(
        num_steps=num_training_steps,
        num_evaluations=len(steps.evaluations),
        trained=state.trained,
        evaluations=state.num_evaluated,
    )
    damage = str(state.damage[0]) if state.damage else ""
    if state.done:
        return Status(run=run.name, what="done", expected=expected, progress=read_progress(folder), message=damage)
    if graph.store.holder(run.name) is not None:
        return Status(run=run.name, what="running", expected=expected, progress=read_progress(folder))
    failure = graph.store.error(run.name)
    if failure is not None:
        message = f"{failure['error']}: {failure['message']}"
        return Status(run=run.name, what="failed", expected=expected, progress=None, message=message)
    what: RunStatus = "damaged" if damage else "missing"
    return Status(run=run.name, what=what, expected=expected, progress=None, message=damage)


def _num_steps(graph: StepGraph, run: Run, recorded: Mapping[str, Any]) -> int:
    """Return the number of training steps; 0 if run.json is damaged or the run is not in lock.json yet."""
    folder = graph.store.run_folder(run.name)
    record = None
    try:
        if run.name in recorded:
            record = graph.store.run_record(run.name, recorded[run.name])
    except StoreError as error:
        graph.store.note_damage(f"runs/{run.name}", [damage_of(folder, error)])
    if record is None or run.mixture is None:
        return 0
    factors = record["factors"]
    return num_steps(sum(factors["num_items"]), graph.study.training, num_tokens=sum(factors["num_tokens"]))
