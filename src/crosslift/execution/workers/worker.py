"""Workers: a worker leases runs one after another and executes their steps: train, generate, score.

One worker executes many runs, because importing the training libraries takes seconds, which a study of 200 small runs
would otherwise spend 200 times. Workers do not communicate: a run belongs to the worker that holds its lease, and the
state of the work is read from the folder, so several workers divide a study among themselves.

Generators with an engine that takes long to start (see `evaluation.generator`) evaluate several runs at a time: a run
that is trained is released and waits until enough runs of its base model are trained, or none is left to train. The
worker then leases them together and evaluates them step by step, each evaluation in all of them before the next one.

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
from dataclasses import dataclass, field
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
from crosslift.execution.phases.evaluate import engines_between_runs
from crosslift.execution.workers.job import RUN_STARTED, asked_to_end, end_if_asked, graceful_termination
from crosslift.execution.workers.recorded import FinishedElsewhere, RecordedDefinition
from crosslift.execution.workers.run_execution import RunExecution, TakenRun
from crosslift.execution.workers.together.claims import Claims
from crosslift.execution.workers.together.training import Together
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
    adapters_at_once: Mapping[str, int] | None = None,
    num_workers: int = 1,
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
        adapters_at_once: base model -> LoRA runs that are trained together at most; 1 where it is missing.
        num_workers: workers that share the runs, so that none takes so many that others have nothing to do.
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
    together = worker.together(adapters_at_once or {}, num_workers, trackers or {}, last)
    begin = int((first or 0.0) % 1 * len(chosen))
    waiting = sorted(chosen[begin:] + chosen[:begin], key=last.__contains__)
    good = True
    with graceful_termination(grace_seconds), engines_between_runs():
        while waiting:
            leased = []
            for name in waiting:
                end_if_asked()
                try:
                    if worker.is_left(name):
                        good &= together.train(name, waiting)
                        good &= worker.take(name, together.trained.pop(name, None))
                except LeaseHeld:
                    leased.append(name)  # retried at the end: its owner may have died
                for group in worker.groups():
                    good &= worker.take_together(group, leased)
            for group in worker.groups(all_that_wait=True):
                good &= worker.take_together(group, leased)
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
    waiting: dict[str, list[str]] = field(default_factory=dict)
    """Base model -> trained runs that wait for an engine."""

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

    def together(
        self, limits: Mapping[str, int], num_workers: int, trackers: Trackers, followers: Collection[str]
    ) -> Together:
        """Return what trains several LoRA runs at once for this worker."""
        claims = Claims(
            graph=self.graph,
            limits=limits,
            num_workers=num_workers,
            session=self.session,
            followers=set(followers),
            equal_runs=self.execution.equal_runs,
            is_left=self.is_left,
            check_definition=self.definition.check,
        )
        return Together(
            graph=self.graph,
            claims=claims,
            trackers=trackers,
            settings={
                "device": self.execution.device,
                "generators": self.execution.generators,
                "ending": asked_to_end,
                "compile": self.execution.compile,
            },
            progress_seconds=self.execution.progress_seconds,
            record=self._record,
            log_to=_log_to,
            say=self.say,
        )

    def take(self, name: str, trained: Mapping[str, Any] | None = None) -> bool:
        """Execute the missing steps of a run. Returns False if the run failed.

        Args:
            name: the run.
            trained: fields of its progress, if this worker has trained it together with others.

        Raises:
            LeaseHeld: another process holds the lease of the run or of an equal run.
        """
        with self._leased(name, together=False) as run:
            if run is None:
                return True
            run.trained = trained or {}
            while not run.is_over:
                self._advance(run)
            if run.waits:
                self.waiting.setdefault(self.graph.runs[name].model.name, []).append(name)
            return not run.has_failed

    def groups(self, *, all_that_wait: bool = False) -> Iterator[list[str]]:
        """Yield groups of trained runs of one base model that are to be evaluated now.

        Args:
            all_that_wait: whether no further run will be trained before; else only full groups are returned.
        """
        for names in self.waiting.values():
            while names:
                size = self.execution.group_size(self.graph.steps(self.graph.runs[names[0]]).evaluations)
                if len(names) < size and not all_that_wait:
                    break
                group = names[:size]
                del names[:size]
                yield group

    def take_together(self, names: Sequence[str], leased: list[str]) -> bool:
        """Evaluate trained runs of one base model. Returns False if one of them failed.

        Args:
            names: the runs.
            leased: runs that another process holds are added to it.
        """
        good = True
        later: list[str] = []
        with contextlib.ExitStack() as stack:
            runs: list[TakenRun] = []
            for name in names:
                # What an equal run has generated is copied, so it comes first.
                if any(one.name in self.execution.equal_runs.get(name, ()) for one in runs):
                    later.append(name)
                    continue
                try:
                    run = stack.enter_context(self._leased(name, together=True))
                except LeaseHeld:
                    leased.append(name)
                    continue
                if run is not None:
                    runs.append(run)
            if len(runs) > 1 and any(run.lease.deaths for run in runs):
                # A worker died on one of them. Each is evaluated alone, so that only that one is given up.
                later = [run.name for run in runs] + later
                runs = []
            while runs:
                place = min(run.pause.place for run in runs)
                here = [run for run in runs if run.pause.place == place]
                generators = [run.pause.generator for run in here if run.pause.generator is not None]
                if generators:
                    generators[0].ask_with(generators[1:])
                for run in here:
                    self._advance(run)
                    good &= not run.has_failed
                runs = [run for run in runs if not run.is_over]
        for name in later:
            good &= self.take_together([name], leased)
        return good

    @contextlib.contextmanager
    def _leased(self, name: str, *, together: bool) -> Iterator[TakenRun | None]:
        """Context manager that holds the lease of a run.

        Args:
            name: the run.
            together: whether it is evaluated with other runs, or else trained first.

        Yields:
            The run; None if nothing is to be done.

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
                yield None
            elif self.graph.state(self.graph.runs[name]).done:
                finished = True
                yield None
            else:
                self.say(f"{RUN_STARTED} {name}")
                run = TakenRun(name=name, lease=lease, steps=iter(()))
                run.steps = self.execution.execute(run, together=together)
                yield run
                finished = run.is_over and not (run.has_failed or run.waits or run.is_lost)
        finally:
            if finished:
                with contextlib.suppress(CrossliftError, OSError):  # the note only saves time
                    note_finished(self.graph, self.graph.runs[name], self.definition.recorded, key=self.key)
            lease.release(finished=finished)

    def _advance(self, run: TakenRun) -> None:
        """Execute a run up to its next pause or its end, and write any error to its folder. It has not failed if
        another worker took it over; then nothing is written.

        Raises:
            StoreError: the file system cannot be written, which would affect all runs.
        """
        store, name = self.graph.store, run.name
        run.is_over = True
        with _log_to(store.run_folder(name) / "log.txt"):
            try:
                with optional():
                    pause = next(run.steps, None)
                if pause is not None:
                    run.pause, run.is_over = pause, False
            except Exception as error:
                run.has_failed = not self._record(name, run.lease, error)
                run.is_lost = not run.has_failed
            finally:
                if run.is_over:
                    self.execution.tracking.finish()

    def _record(self, name: str, lease: Lease, error: Exception) -> bool:
        """Write the error of a run to its folder.

        Returns:
            False; True if another worker took the run over, and nothing was written.

        Raises:
            StoreError: the file system cannot be written, which would affect all runs.
        """
        store = self.graph.store
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
        log.error("unexpected error", exc_info=error)
        message = f"{error} (the traceback is in {store.name_of(store.run_folder(name))}/log.txt)"
        store.write_error(name, error=type(error).__name__, message=message)
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
