"""What every run is doing, read from the folder: no scheduler is asked, so it is the same for every executor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from crosslift.errors import StaleStep
from crosslift.execution.folder.progress import ExpectedWork, Progress, TotalProgress, read_progress, total_progress
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.files import read_json
from crosslift.leases import lease_holder
from crosslift.studies.run import Run
from crosslift.training.trainer import num_steps

RunStatus = Literal["done", "running", "failed", "missing", "stale"]


@dataclass(frozen=True, kw_only=True)
class Status:
    run: str
    what: RunStatus
    expected: ExpectedWork
    progress: Progress | None
    message: str = ""
    """Why, where it failed or is stale."""


def status(graph: StepGraph, runs: Iterable[Run] | None = None) -> list[Status]:
    """Every run in the study's order. Touches nothing."""
    chosen = list(graph.runs.values() if runs is None else runs)
    try:
        locked = graph.store.lock_file.is_file()  # before, inputs are not looked at: they may not be here yet
        prepared = locked and all(step.result() is not None for step in graph.prepared_steps())
        why = ""
    except StaleStep as error:
        prepared, why = False, str(error)
    if prepared:
        return [_of(graph, run) for run in chosen]
    return [_unprepared(graph, run, why) for run in chosen]


class StatusPoller:
    """The same again and again, at little cost: two looks a second at 200 runs must not take a core from the workers.
    A run is looked at closely only when it leaves a worker's hands."""

    def __init__(self, graph: StepGraph, runs: Iterable[Run]) -> None:
        self._ledger = graph
        self._last = {one.run: one for one in status(graph, runs)}

    def look(self) -> list[Status]:
        for name, before in self._last.items():
            if before.what in ("done", "failed"):
                continue
            folder = self._ledger.store.run_folder(name)
            if lease_holder(folder) is not None:
                self._last[name] = replace(before, what="running", progress=read_progress(folder))
            elif before.what == "running" or any((folder / name).is_file() for name in ("error.json", "progress.json")):
                self._last[name] = _of(self._ledger, self._ledger.runs[name])
        return list(self._last.values())


def overall_progress(found: Iterable[Status], *, num_workers: int) -> TotalProgress:
    """Progress of all runs together, with the time left."""
    return total_progress(
        ((one.run, one.expected, one.progress, one.what == "running") for one in found), num_workers=num_workers
    )


def _unprepared(graph: StepGraph, run: Run, why: str) -> Status:
    unknown = ExpectedWork(num_steps=0, num_evaluations=0, trained=False, evaluations=0)
    if why and graph.store.has_results(run.name):
        return Status(run=run.name, what="stale", expected=unknown, progress=None, message=why)
    return Status(run=run.name, what="missing", expected=unknown, progress=None)


def _of(graph: StepGraph, run: Run) -> Status:
    folder = graph.store.run_folder(run.name)
    steps = graph.steps(run)
    try:
        state = graph.state(run)
    except StaleStep as error:
        expected = ExpectedWork(
            num_steps=_num_steps(graph, run), num_evaluations=len(steps.evaluations), trained=False, evaluations=0
        )
        return Status(run=run.name, what="stale", expected=expected, progress=None, message=str(error))
    expected = ExpectedWork(
        num_steps=_num_steps(graph, run),
        num_evaluations=len(steps.evaluations),
        trained=state.trained,
        evaluations=state.num_evaluated,
    )
    if state.done:
        return Status(run=run.name, what="done", expected=expected, progress=read_progress(folder))
    if lease_holder(folder) is not None:
        return Status(run=run.name, what="running", expected=expected, progress=read_progress(folder))
    failure = graph.store.error(run.name)
    if failure is not None:
        message = f"{failure['error']}: {failure['message']}"
        return Status(run=run.name, what="failed", expected=expected, progress=None, message=message)
    return Status(run=run.name, what="missing", expected=expected, progress=None)


def _num_steps(graph: StepGraph, run: Run) -> int:
    if run.mixture is None:
        return 0
    record = read_json(graph.store.run_folder(run.name) / "run.json")
    if record is None:  # new in the study since it was prepared
        return 0
    factors = record["factors"]
    return num_steps(sum(factors["num_items"]), graph.study.training, num_tokens=sum(factors["num_tokens"]))
