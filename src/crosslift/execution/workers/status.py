"""What every run is doing, read from the folder: no scheduler is asked, so it is the same for every executor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from crosslift.errors import StaleStep, StoreError
from crosslift.execution.folder.checksums import damage_of
from crosslift.execution.folder.progress import ExpectedWork, Progress, TotalProgress, read_progress, total_progress
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.studies.run import Run
from crosslift.system.leases import lease_holder
from crosslift.training.trainer import num_steps

RunStatus = Literal["done", "running", "failed", "missing", "stale", "damaged"]


@dataclass(frozen=True, kw_only=True)
class Status:
    run: str
    what: RunStatus
    expected: ExpectedWork
    progress: Progress | None
    message: str = ""
    """Why, where it failed, is stale or damaged; of a done run, what is damaged and not needed any more."""


def status(graph: StepGraph, runs: Iterable[Run] | None = None) -> list[Status]:
    """Every run in the study's order. Touches nothing."""
    chosen = list(graph.runs.values() if runs is None else runs)
    why: StaleStep | StoreError | None = None
    prepared = graph.store.lock_file.exists()  # before, inputs are not looked at: they may not be here yet
    try:
        for step in graph.prepared_steps() if prepared else ():
            found = step.state()
            graph.store.note_damage(step.name, found.damage)
            prepared &= found.outputs is not None  # damaged files are made again; what they were is in the marker
    except (StaleStep, StoreError) as error:
        prepared, why = False, error
    if prepared:
        recorded = graph.store.lock()["runs"]
        return [_of(graph, run, recorded) for run in chosen]
    return [_unprepared(graph, run, why) for run in chosen]


class StatusPoller:
    """The same again and again, at little cost: two looks a second at 200 runs must not take a core from the workers.
    A run is looked at closely only when it leaves a worker's hands."""

    def __init__(self, graph: StepGraph, runs: Iterable[Run]) -> None:
        self._ledger = graph
        self._last = {one.run: one for one in status(graph, runs)}
        lock = graph.store.lock_if_whole()
        self._recorded = {} if lock is None else lock["runs"]

    def look(self) -> list[Status]:
        for name, before in self._last.items():
            if before.what in ("done", "failed"):
                continue
            folder = self._ledger.store.run_folder(name)
            if lease_holder(folder) is not None:
                self._last[name] = replace(before, what="running", progress=read_progress(folder))
            elif before.what == "running" or any((folder / name).is_file() for name in ("error.json", "progress.json")):
                self._last[name] = _of(self._ledger, self._ledger.runs[name], self._recorded)
        return list(self._last.values())


def overall_progress(found: Iterable[Status], *, num_workers: int) -> TotalProgress:
    """Progress of all runs together, with the time left."""
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
    """`recorded`: the runs of lock.json."""
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
    if lease_holder(folder) is not None:
        return Status(run=run.name, what="running", expected=expected, progress=read_progress(folder))
    failure = graph.store.error(run.name)
    if failure is not None:
        message = f"{failure['error']}: {failure['message']}"
        return Status(run=run.name, what="failed", expected=expected, progress=None, message=message)
    what: RunStatus = "damaged" if damage else "missing"
    return Status(run=run.name, what=what, expected=expected, progress=None, message=damage)


def _num_steps(graph: StepGraph, run: Run, recorded: Mapping[str, Any]) -> int:
    """Training steps; 0 where run.json does not tell them, because the run is new in the study or it is damaged."""
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
