"""Status of every run, read from the folder and therefore independent of the executor."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from crosslift.errors import CrossliftError, NotPrepared, StoreError
from crosslift.execution.definitions.changes import fields_of_run
from crosslift.execution.definitions.provisional import ProvisionalGraph
from crosslift.execution.folder import earlier
from crosslift.execution.folder.checksums import damage_of
from crosslift.execution.folder.progress import ExpectedWork, Progress, TotalProgress, read_progress, total_progress
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.steps import RunState
from crosslift.execution.inspection.finished import FinishedRuns, write_note
from crosslift.studies.run import Run
from crosslift.training.trainer import num_steps

RunStatus = Literal["done", "running", "failed", "to evaluate", "missing", "changed", "damaged"]
"""`to evaluate`: training is finished, evaluations are left. `changed`: the study file was edited since the run was
made; its results are kept."""

MAX_EVALUATIONS_SHOWN = 4


@dataclass(frozen=True, kw_only=True)
class Status:
    """Status of a run."""

    run: str
    what: RunStatus
    expected: ExpectedWork
    progress: Progress | None
    message: str = ""
    """Reason if the run failed, changed or is damaged, or the evaluations that are left; for a done run, damage that
    does not affect its results."""


def quick_status(graph: StepGraph) -> list[Status]:
    """Determine the status of all runs, without the measurements from which the remaining time is estimated.

    Runs that were verified before and have not changed since are not verified again (see `finished`), neither by their
    worker nor by an earlier look. In a study of 20,000 runs this takes a few seconds instead of half a minute.

    Args:
        graph: the steps of the study.

    Returns:
        One status per run, in the study's order.
    """
    lock = graph.store.lock_if_intact()
    try:
        prepared = lock is not None and all(step.done() for step in graph.prepared_steps())
    except CrossliftError:
        prepared = False
    if not prepared or lock is None:
        return status(graph)
    known = FinishedRuns(graph)
    no_results = not (graph.store.folder / earlier.FOLDER).is_dir()
    found: dict[str, Status | None] = {}
    for name, run in graph.runs.items():
        facts = known.facts(name)
        if facts is not None:
            found[name] = _known(name, facts)
        else:
            found[name] = _untouched(graph, run, lock["runs"]) if no_results else None
    verified = status(graph, [graph.runs[name] for name, one in found.items() if one is None])
    for one in verified:
        found[one.run] = one
        if one.what == "done" and not one.message:
            facts = _facts(graph, one)
            known.add(graph.steps(graph.runs[one.run]), facts)
            found[one.run] = replace(one, progress=one.progress or Progress(phase="done", loss=facts["loss"]))
    known.save()
    return [one for one in found.values() if one is not None]


def note_finished(graph: StepGraph, run: Run, recorded: Mapping[str, Any], *, key: str | None) -> None:
    """Note for `quick_status` that a run is finished and intact, if it is. Called by the worker that finished it.

    Args:
        graph: the steps of the study.
        run: the run.
        recorded: "runs" of lock.json.
        key: `definition_key` of the graph.
    """
    one = _of(graph, run, recorded)
    if one.what == "done" and not one.message:
        write_note(graph, graph.steps(run), _facts(graph, one), key=key)


def _facts(graph: StepGraph, one: Status) -> dict[str, Any]:
    """Return what the status of a finished run consists of, for `_known`."""
    loss = losses(graph, [one]).get(one.run)
    return {"steps": one.expected.num_steps, "evaluations": one.expected.num_evaluations, "loss": loss}


def _known(name: str, facts: Mapping[str, Any]) -> Status:
    """Return the status of a finished run from what was remembered of it."""
    evaluations = facts["evaluations"]
    expected = ExpectedWork(
        num_steps=facts["steps"], num_evaluations=evaluations, trained=True, evaluations=evaluations
    )
    return Status(run=name, what="done", expected=expected, progress=Progress(phase="done", loss=facts["loss"]))


def _untouched(graph: StepGraph, run: Run, recorded: Mapping[str, Any]) -> Status | None:
    """Return the status of a run that no worker has begun; None if there is anything in its folder."""
    folder = graph.store.run_folder(run.name)
    try:
        if run.name not in recorded or os.listdir(folder) != ["run.json"]:  # noqa: PTH208 - called for every run
            return None
    except OSError:
        return None
    evaluations = sum(len(one.languages) for one in graph.study.evaluations_of(run))
    expected = ExpectedWork(
        num_steps=_num_steps(graph, run, recorded), num_evaluations=evaluations, trained=False, evaluations=0
    )
    return Status(run=run.name, what="missing", expected=expected, progress=None)


def status(graph: StepGraph, runs: Iterable[Run] | None = None) -> list[Status]:
    """Determine the status of runs without writing to the folder.

    Args:
        graph: the steps of the study.
        runs: the runs; None for all runs of the study.

    Returns:
        One status per run, in the given order.
    """
    chosen = list(graph.runs.values() if runs is None else runs)
    why: StoreError | None = None
    lock = graph.store.lock_if_intact()  # without it inputs are not read, because they may not exist yet
    try:
        for step in graph.prepared_steps() if lock is not None else ():
            graph.store.note_damage(step.name, step.state().damage)
    except NotPrepared:  # the study file was edited
        pass
    except StoreError as error:
        why = error
    if why is None and lock is not None:
        provisional = ProvisionalGraph(graph)
        return [_of(provisional, run, lock["runs"]) for run in chosen]
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


def losses(graph: StepGraph, found: Iterable[Status]) -> dict[str, float]:
    """Return the training loss of runs: the last one of trained runs, the latest one of running runs.

    Args:
        graph: the steps of the study.
        found: status of each run.

    Returns:
        Run -> loss in nats per token. Base models and runs without a loss are omitted.
    """
    result: dict[str, float] = {}
    for one in found:
        if one.progress is not None and one.progress.loss is not None:
            result[one.run] = one.progress.loss
        elif one.expected.trained and graph.runs[one.run].mixture is not None:
            with contextlib.suppress(StoreError):  # removed or damaged, which the status itself reports
                rows = graph.store.training_metrics(one.run).filter(split="train")["loss"].drop_nulls()
                if len(rows):
                    result[one.run] = float(rows[-1])
    return result


def _unprepared(graph: StepGraph, run: Run, why: StoreError | None) -> Status:
    unknown = ExpectedWork(num_steps=0, num_evaluations=0, trained=False, evaluations=0)
    if why is not None and graph.store.has_results(run.name):
        return Status(run=run.name, what="damaged", expected=unknown, progress=None, message=str(why))
    return Status(run=run.name, what="missing", expected=unknown, progress=None)


def _of(graph: StepGraph, run: Run, recorded: Mapping[str, Any]) -> Status:
    """Return the status of a run in a prepared study. `recorded`: the runs in lock.json."""
    folder = graph.store.run_folder(run.name)
    steps = graph.steps(run)
    state = graph.state(run)
    expected = ExpectedWork(
        num_steps=_num_steps(graph, run, recorded),
        num_evaluations=len(steps.evaluations),
        trained=state.trained,
        evaluations=state.num_evaluated,
        model=run.model.name,
        num_parameters=graph.models[run.model.name].num_parameters,
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
    what, message = _missing(graph, state, recorded)
    return Status(
        run=run.name, what="damaged" if damage else what, expected=expected, progress=None, message=damage or message
    )


def _missing(graph: StepGraph, state: RunState, recorded: Mapping[str, Any]) -> tuple[RunStatus, str]:
    """Say what is missing of a run that is neither done nor leased, and why."""
    run = state.steps.run
    if state.trained and (run.mixture is not None or state.num_evaluated):
        left = [f"{one.evaluation.name}.{one.language}" for one in state.missing]
        more = f" and {len(left) - MAX_EVALUATIONS_SHOWN} more" if len(left) > MAX_EVALUATIONS_SHOWN else ""
        return "to evaluate", ", ".join(left[:MAX_EVALUATIONS_SHOWN]) + more
    edited = run.name in recorded and not graph.is_recorded(run, recorded)
    if edited and graph.store.has_results(run.name):
        return "changed", str(fields_of_run(graph, run.name, recorded[run.name]))
    return "missing", ""


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
