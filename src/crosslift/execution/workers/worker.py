"""Workers: a worker leases runs one after another and executes their steps: train, generate, score.

One worker executes many runs, because importing the training libraries takes seconds, which a study of 200 small runs
would otherwise spend 200 times. Workers do not communicate: a run belongs to the worker that holds its lease, and the
state of the work is read from the folder, so several workers divide a study among themselves.

An error in a run is written to the run's folder and stops neither this worker nor the others. A worker that dies
without a message leaves an unreleased lease; the worker that takes it over counts the deaths, so that a run that
exhausts the memory is not retried forever.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from crosslift.errors import (
    CrossliftError,
    LeaseHeld,
    StoreError,
    UnknownName,
    did_you_mean,
)
from crosslift.execution.definitions.reconcile import reconcile_run
from crosslift.execution.definitions.reuse import equal_runs
from crosslift.execution.folder.progress import INTERVAL_OF_MANY_SECONDS, INTERVAL_SECONDS
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.store import Store
from crosslift.execution.inspection.finished import definition_key
from crosslift.execution.inspection.status import note_finished
from crosslift.execution.workers.job import RUN_STARTED, end_if_asked, graceful_termination
from crosslift.execution.workers.recorded import FinishedElsewhere, RecordedDefinition
from crosslift.execution.workers.run_execution import RunExecution
from crosslift.execution.workers.tracking import Trackers, Tracking
from crosslift.extras import optional
from crosslift.studies.study import Study
from crosslift.system.files import make_folder, missing_root_error
from crosslift.system.leases import Lease, lease_holder, wait_for_silent_owners
from crosslift.system.refusals import OF_THE_FILE_SYSTEM, as_store_error

log = logging.getLogger(__name__)
Say = Callable[[str], None]


def work(
    study: Study,
    names: Sequence[str] = (),
    *,
    models: Sequence[str] = (),
    device: str = "auto",
    keep_checkpoints: bool = True,
    generators: Mapping[str, Mapping[str, Any]] | None = None,
    num_devices: Mapping[str, int] | None = None,
    cpu_offload: bool = False,
    compile: bool = True,
    session: str = "",
    trackers: Trackers | None = None,
    grace_seconds: float = 0.0,
    patient: bool = False,
    first: float | None = None,
    say: Say = lambda line: None,
) -> bool:
    """Lease and execute missing runs until none is available.

    Args:
        study: the study.
        names: only these runs; empty for all. Runs that failed before are executed again if they are named and no
            session launched the worker.
        models: only runs of these base models; empty for all.
        device: as in the site file.
        keep_checkpoints: whether to keep checkpoints after the run is finished.
        generators: the site's options per generator.
        num_devices: base model -> devices that its runs share; 1 where it is missing.
        cpu_offload: whether such runs keep weights and moments in the memory of the machine.
        compile: whether GPUs may compile the layers of a model.
        session: session that launched the worker; deaths are counted per session.
        trackers: the site's trackers with their options.
        grace_seconds: time between SIGTERM and the end of this process, in which the state of the run is saved.
        patient: wait for the leases of workers that have gone silent, and take their runs over.
        first: given if this worker is among many on a shared disk: the place in the order of the runs, 0 to 1, at which
            it begins, because many that all begin with the first run would find most runs leased. It also writes its
            progress seldom.
        say: called with each line of progress.

    Returns:
        Whether every run of this worker succeeded.

    Raises:
        StoreError: the study is not prepared.
        UnknownName: no run has that name.
        NotPrepared: the study file was edited since the study was prepared, also while this worker executes runs.
    """
    graph = StepGraph(study, Store(study.results_folder))
    _expect("run", names, graph.runs)
    _expect("model", models, study.models)
    chosen = [name for name in names or graph.runs if not models or graph.runs[name].model.name in models]
    definition = RecordedDefinition(graph)
    definition.check(chosen)
    named_by_hand = bool(names) and not session
    if named_by_hand:
        graph.store.clear_errors(names)
    execution = RunExecution(
        graph=graph,
        device=device,
        keep_checkpoints=keep_checkpoints,
        generators=generators or {},
        num_devices=num_devices or {},
        cpu_offload=cpu_offload,
        compile=compile,
        tracking=Tracking(trackers or {}),
        equal_runs=equal_runs(graph),
        progress_seconds=INTERVAL_SECONDS if first is None else INTERVAL_OF_MANY_SECONDS,
    )
    worker = _Worker(
        execution=execution,
        definition=definition,
        session=session,
        say=say,
        waits_for_equal_runs=not named_by_hand,
        finished=None if first is None else FinishedElsewhere(graph.store),
    )
    # Runs that equal an earlier run come last: that run is then finished, and its files can be copied.
    last = _follow_an_equal_run(worker)
    begin = int((first or 0.0) % 1 * len(chosen))
    waiting = sorted(chosen[begin:] + chosen[:begin], key=last.__contains__)
    good = True
    with graceful_termination(grace_seconds):
        while waiting:
            leased = []
            for name in waiting:
                end_if_asked()
                try:
                    if worker.is_left(name):
                        good &= worker.take(name)
                except LeaseHeld:
                    leased.append(name)  # retried at the end: its owner may have died
            if leased == waiting:
                folders = [graph.store.run_folder(name) for name in leased]
                if not (patient and wait_for_silent_owners(folders, check=end_if_asked)):
                    break
            waiting = leased
    return good


def _expect(kind: str, names: Sequence[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            raise UnknownName(
                f"'{name}' is not a {kind} of this study.{did_you_mean(name, known)} See: crosslift status"
            )


@dataclass(frozen=True, kw_only=True)
class _Worker:
    execution: RunExecution
    definition: RecordedDefinition
    session: str
    say: Say
    waits_for_equal_runs: bool
    """Whether to skip a run while an equal run is leased; False if a user named the runs."""
    finished: FinishedElsewhere | None
    """What other workers have finished; None unless this worker is among many."""

    @property
    def graph(self) -> StepGraph:
        return self.execution.graph

    @cached_property
    def key(self) -> str | None:
        return definition_key(self.graph)

    def is_left(self, name: str) -> bool:
        """Return whether a run is not finished. Asked one run at a time: a thousand workers that start at once would
        otherwise all read the markers of all runs at once."""
        run = self.graph.runs[name]
        if self.finished is not None and self.finished.has(name, self.graph.steps(run).fingerprint):
            return False
        state = self.graph.state(run)
        return not state.done or state.kept_aside

    def take(self, name: str) -> bool:
        """Execute the missing steps of a run. Returns False if the run failed.

        Raises:
            LeaseHeld: another process holds the lease of the run or of an equal run.
        """
        store = self.graph.store
        for equal_run in self.execution.equal_runs.get(name, ()) if self.waits_for_equal_runs else ():
            if lease_holder(store.run_folder(equal_run)) is not None:
                raise LeaseHeld(f"{name} waits for {equal_run}, which has the same training and is leased.")
        lease = Lease(store.run_folder(name), session=self.session)
        lease.acquire()
        finished = False
        try:
            self.definition.check([name])
            reconcile_run(self.graph, self.graph.runs[name])
            # Read after the lease was acquired: another process may have finished the run before.
            if store.error(name) is not None:
                return True
            if not self.graph.state(self.graph.runs[name]).done:
                self.say(f"{RUN_STARTED} {name}")
                with _log_to(store.run_folder(name) / "log.txt"):
                    finished = self._try(name, lease)
                return finished
            finished = True
        finally:
            if finished:
                with contextlib.suppress(CrossliftError, OSError):  # the note only saves time
                    note_finished(self.graph, self.graph.runs[name], self.definition.recorded, key=self.key)
            lease.release(finished=finished)
        return True

    def _try(self, name: str, lease: Lease) -> bool:
        """Execute the run and write any error to its folder.

        Returns:
            False if the run failed. True if it succeeded, or if another worker took it over; then nothing is written.

        Raises:
            StoreError: the file system cannot be written, which would affect all runs.
        """
        store = self.graph.store
        try:
            with optional():
                self.execution.execute(name, lease)
        except Exception as error:
            if (gone := missing_root_error(store.run_folder(name))) is not None:
                raise gone from error
            if _is_lost(lease):  # another worker continues the run; the lost lease caused the error
                log.warning("%s was taken over by another worker: %s", name, error)
                return True
            self.definition.check([name])  # the study was prepared anew: files were moved on purpose
            known = error if isinstance(error, CrossliftError) else as_store_error(error, _description(name, error))
            if isinstance(known, StoreError) and known.errno in OF_THE_FILE_SYSTEM:
                raise known from error  # no other run could be written either
            if known is not None:
                log.error("%s", known)
                store.write_error(name, error=type(known).__name__, message=str(known))
                return False
            log.exception("unexpected error")
            message = f"{error} (the traceback is in {store.name_of(store.run_folder(name))}/log.txt)"
            store.write_error(name, error=type(error).__name__, message=message)
        else:
            return True
        finally:
            self.execution.tracking.finish()
        return False


def _description(run: str, error: Exception) -> str:
    """Return the beginning of a message: which run cannot continue, and at which file."""
    file = getattr(error, "filename", None)
    return f"{run} cannot continue ({file})" if file else f"{run} cannot continue"


def _follow_an_equal_run(worker: _Worker) -> set[str]:
    """Return the runs that have the training of a run before them."""
    place = {name: number for number, name in enumerate(worker.graph.runs)}
    return {
        name for name, others in worker.execution.equal_runs.items() if any(place[one] < place[name] for one in others)
    }


def _is_lost(lease: Lease) -> bool:
    try:
        lease.check()
    except LeaseHeld:
        return True
    except CrossliftError:  # the folder no longer exists
        return False
    return False


@contextlib.contextmanager
def _log_to(path: Path) -> Iterator[None]:
    """Redirect the standard output and error of this process to the run's log at the level of file descriptors, which
    includes the output of C libraries and crash messages."""
    make_folder(path.parent)
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.dup2(file, 1)
        os.dup2(file, 2)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(saved[0], 1)
        os.dup2(saved[1], 2)
        for descriptor in (file, *saved):
            os.close(descriptor)
