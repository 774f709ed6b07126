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
import shutil
import sys
import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crosslift.errors import (
    CrossliftError,
    EvaluationError,
    LeaseHeld,
    NotPrepared,
    StoreError,
    TrainingError,
    UnknownName,
    did_you_mean,
)
from crosslift.execution.definitions.reconcile import reconcile_run
from crosslift.execution.definitions.reuse import copy_predictions, copy_training, equal_runs
from crosslift.execution.folder.progress import INTERVAL_OF_MANY_SECONDS, INTERVAL_SECONDS, ProgressWriter
from crosslift.execution.folder.provenance import environment
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.steps import EvaluationStep, RunState
from crosslift.execution.folder.store import Store
from crosslift.execution.phases.evaluate import (
    close_engines,
    evaluate,
    finished_predictions,
    free_memory,
    load_generator,
    rescore,
    runs_per_engine,
)
from crosslift.execution.phases.train import train
from crosslift.execution.workers.job import RUN_STARTED, asked_to_end, end_if_asked, graceful_termination
from crosslift.execution.workers.tracking import Trackers, Tracking
from crosslift.extras import optional
from crosslift.studies.run import Run
from crosslift.studies.study import Study
from crosslift.system.files import make_folder, missing_root_error
from crosslift.system.leases import Lease, lease_holder, wait_for_silent_owners
from crosslift.system.refusals import OF_THE_FILE_SYSTEM, as_store_error

MAX_WORKER_DEATHS = 2
"""Number of worker deaths in one session after which a run fails instead of being retried."""

LIST_SECONDS = 60.0
"""Time between two looks of a worker that is among many at what the others have finished."""

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
    definition = _Definition(graph)
    definition.check(chosen)
    named_by_hand = bool(names) and not session
    if named_by_hand:
        graph.store.clear_errors(names)
    worker = _Worker(
        graph=graph,
        definition=definition,
        device=device,
        keep_checkpoints=keep_checkpoints,
        generators=generators or {},
        num_devices=num_devices or {},
        cpu_offload=cpu_offload,
        session=session,
        tracking=Tracking(trackers or {}),
        say=say,
        equal_runs=equal_runs(graph),
        waits_for_equal_runs=not named_by_hand,
        finished=None if first is None else _Finished(graph.store),
    )
    # Runs that equal an earlier run come last: that run is then finished, and its files can be copied.
    last = _follow_an_equal_run(worker)
    begin = int((first or 0.0) % 1 * len(chosen))
    waiting = sorted(chosen[begin:] + chosen[:begin], key=last.__contains__)
    good = True
    with graceful_termination(grace_seconds), contextlib.closing(_Engines()):
        while waiting:
            leased = []
            for name in waiting:
                end_if_asked()
                try:
                    if worker.is_left(name):
                        good &= worker.take(name)
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


class _Definition:
    """The runs of lock.json, read again only when the file changes.

    Another `crosslift run` may prepare an edited study file while workers execute the previous definition. Such a
    worker stops before its next run, and an error that results from moved files is not recorded as an error of the run.
    """

    def __init__(self, graph: StepGraph) -> None:
        self._graph = graph
        self._stat: tuple[int, int, int] | None = None
        self._recorded: Mapping[str, Any] = {}

    def check(self, names: Sequence[str]) -> None:
        """Verify that lock.json still lists runs as this worker's study file defines them.

        Raises:
            NotPrepared: it does not.
            StoreError: the study has not been prepared.
        """
        try:
            found = self._graph.store.lock_file.stat()
            stat = (found.st_ino, found.st_size, found.st_mtime_ns)
        except OSError:
            stat = None
        if stat is None or stat != self._stat:
            self._recorded, self._stat = self._graph.store.lock()["runs"], stat
        for name in names:
            if not self._graph.is_recorded(self._graph.runs[name], self._recorded):
                raise NotPrepared(
                    f"{name} is not prepared as study.toml defines it: the file was edited. Finished results are kept. "
                    f"Run: crosslift run {self._graph.study.folder}"
                )


class _Engines:
    """The engines that this process keeps open between runs."""

    def close(self) -> None:
        close_engines()


@dataclass(frozen=True, kw_only=True)
class _Pause:
    """A place in a run that the runs of a group reach together."""

    place: tuple[int, int] = (-1, -1)
    """Number of the evaluation in the study and of its language; (-1, -1): before an engine is needed."""
    generator: Any = None
    """The loaded generator, which can be asked for several runs at once."""


_BEGIN = _Pause(place=(-2, -2))


@dataclass(kw_only=True)
class _Taken:
    """A run under this worker's lease."""

    name: str
    lease: Lease
    steps: Iterator[_Pause]
    """Executes the run; pauses where it may be evaluated together with others."""
    pause: _Pause = field(default=_BEGIN)
    """Where it is."""
    is_over: bool = False
    has_failed: bool = False
    waits: bool = False
    """Whether it was released before its evaluations, to be evaluated with others."""
    is_lost: bool = False
    """Whether another worker has taken it over."""


class _Finished:
    """What other workers have finished, listed at most once a minute."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._listed: float | None = None
        self._notes: frozenset[str] = frozenset()

    def has(self, run: str, fingerprint: str) -> bool:
        """Return whether a run was noted as finished with these steps."""
        now = time.monotonic()
        if self._listed is None or now - self._listed >= LIST_SECONDS:
            self._notes, self._listed = self._store.marked_finished(), now
        return f"{run}.{fingerprint}" in self._notes


@dataclass(frozen=True, kw_only=True)
class _Worker:
    graph: StepGraph
    definition: _Definition
    device: str
    keep_checkpoints: bool
    generators: Mapping[str, Mapping[str, Any]]
    """The site's options per generator."""
    num_devices: Mapping[str, int]
    cpu_offload: bool
    session: str
    tracking: Tracking
    say: Say
    equal_runs: dict[str, tuple[str, ...]]
    waits_for_equal_runs: bool
    """Whether to skip a run while an equal run is leased; False if a user named the runs."""
    finished: _Finished | None
    """What other workers have finished; None unless this worker is among many."""
    waiting: dict[str, list[str]] = field(default_factory=dict)
    """Base model -> trained runs that wait for an engine."""

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
        with self._leased(name, together=False) as run:
            if run is None:
                return True
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
                size = self._group_size(self.graph.steps(self.graph.runs[names[0]]).evaluations)
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
            runs: list[_Taken] = []
            for name in names:
                # What an equal run has generated is copied, so it comes first.
                if any(one.name in self.equal_runs.get(name, ()) for one in runs):
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
    def _leased(self, name: str, *, together: bool) -> Iterator[_Taken | None]:
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
        for equal_run in self.equal_runs.get(name, ()) if self.waits_for_equal_runs else ():
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
                run = _Taken(name=name, lease=lease, steps=iter(()))
                run.steps = self._execute(run, together=together)
                yield run
                finished = run.is_over and not (run.has_failed or run.waits or run.is_lost)
        finally:
            if finished and self.finished is not None:
                store.mark_finished(name, self.graph.steps(self.graph.runs[name]).fingerprint)
            lease.release(finished=finished)

    def _advance(self, run: _Taken) -> None:
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
                if (gone := missing_root_error(store.run_folder(name))) is not None:
                    raise gone from error
                if _is_lost(run.lease):  # another worker continues the run; the lost lease caused the error
                    log.warning("%s was taken over by another worker: %s", name, error)
                    run.is_lost = True
                    return
                self.definition.check([name])  # the study was prepared anew: files were moved on purpose
                run.has_failed = True
                known = error if isinstance(error, CrossliftError) else as_store_error(error, _description(name, error))
                if isinstance(known, StoreError) and known.errno in OF_THE_FILE_SYSTEM:
                    raise known from error  # no other run could be written either
                if known is not None:
                    log.error("%s", known)
                    store.write_error(name, error=type(known).__name__, message=str(known))
                    return
                log.exception("unexpected error")
                message = f"{error} (the traceback is in {store.name_of(store.run_folder(name))}/log.txt)"
                store.write_error(name, error=type(error).__name__, message=message)
            finally:
                if run.is_over:
                    self.tracking.finish()

    def _group_size(self, evaluations: Sequence[EvaluationStep]) -> int:
        """Return how many runs are evaluated together with the engine that evaluations need; 1: they need none."""
        used = {one.evaluation.generator for one in evaluations}
        return max((runs_per_engine(name, self.generators.get(name)) for name in used), default=1)

    def _execute(self, taken: _Taken, *, together: bool) -> Iterator[_Pause]:
        """Execute the missing steps of a run: train, generate, score.

        Args:
            taken: the run.
            together: whether it is evaluated with other runs; else it may have to wait for them after its training.

        Yields:
            Pauses at which the other runs are advanced to the same place.

        Raises:
            TrainingError: the run cannot be trained, or too many workers died on it.
            EvaluationError: samples could not be generated or scored.
        """
        name, lease = taken.name, taken.lease
        if lease.deaths >= MAX_WORKER_DEATHS:
            raise TrainingError(
                f"{lease.deaths} workers died on this run without a message, probably killed for memory. Lower "
                "micro_batch_tokens, or use a machine with more memory; log.txt contains the output of the workers."
            )
        graph, store, run = self.graph, self.graph.store, self.graph.runs[name]
        state = graph.state(run)
        checkpoint = None if run.mixture is None else store.checkpoint_folder(name)
        trains = checkpoint is not None and _needs_training(state, checkpoint)
        taken.waits = not together and self._group_size(state.missing) > 1
        if taken.waits and not trains:
            return
        log.info("started: %s", name)
        reporter = ProgressWriter(
            store.run_folder(name),
            num_evaluations=len(state.steps.evaluations),
            evaluations=state.num_evaluated,
            listener=self.tracking.progress,
            interval_seconds=INTERVAL_SECONDS if self.finished is None else INTERVAL_OF_MANY_SECONDS,
        )
        if not together:
            self.tracking.start(graph.study.name, name, _facts(run), store.trackers_folder)
        reporter.update(phase="loading")
        if trains:
            equal_run = copy_training(graph, state.steps, self.equal_runs.get(name, ()))
            if equal_run is not None:
                log.info("copied the training of the equal run %s", equal_run)
            else:
                close_engines()
                train(
                    graph,
                    state.steps,
                    device=self.device,
                    generators=self.generators,
                    reporter=reporter,
                    check=lease.check,
                    ending=asked_to_end,
                    num_devices=self.num_devices.get(run.model.name, 1),
                    cpu_offload=self.cpu_offload,
                )
            self.graph.write_provenance(state.steps, environment())
            free_memory()
        if taken.waits:
            log.info("trained: %s", name)
            return
        faults = yield from self._evaluate(state, checkpoint, lease, reporter, together=together)
        free_memory()
        self.graph.write_provenance(state.steps, environment())
        reporter.update(phase="done")
        if faults:
            raise EvaluationError("; ".join(faults) + ". To retry them, run: crosslift run")
        if checkpoint is not None and not self.keep_checkpoints:
            # Renamed first: an interrupted removal must not leave a checkpoint that appears damaged.
            removed = checkpoint.replace(checkpoint.with_name(".checkpoint.removed"))
            shutil.rmtree(removed)
        log.info("done: %s", name)

    def _evaluate(
        self, state: RunState, checkpoint: Path | None, lease: Lease, reporter: ProgressWriter, *, together: bool
    ) -> Generator[_Pause, None, list[str]]:
        """Execute the missing evaluation steps. Returns a phrase for each step with sample errors."""
        graph, run = self.graph, state.steps.run
        model = graph.models[run.model.name]
        faults: list[str] = []
        started = time.monotonic()
        answers: Any = None
        loaded = ""
        # Those that need an engine come last, so that all runs of a group use the same one.
        missing = sorted(state.missing, key=lambda one: self._group_size([one]) > 1)
        for number, one in enumerate(missing):
            end_if_asked()
            lease.check()
            name = f"{one.evaluation.name}.{one.language}"
            reporter.update(phase=f"evaluating {name}")
            log.info("evaluating %s", name)
            finished = finished_predictions(one)
            seconds = (
                finished["seconds"] if finished else copy_predictions(graph, one, self.equal_runs.get(run.name, ()))
            )
            if seconds is not None:
                num_errors = rescore(run.name, one, seconds=seconds, check=lease.check)
            else:
                if loaded != one.evaluation.generator:
                    loaded, answers = one.evaluation.generator, None
                    free_memory()
                    if self._group_size([one]) == 1:
                        close_engines()
                    elif together:
                        yield _Pause()
                    options = self.generators.get(loaded)
                    answers = load_generator(
                        loaded,
                        checkpoint,
                        model,
                        graph,
                        device=self.device,
                        options=options,
                        num_devices=self.num_devices.get(run.model.name, 1),
                    )
                if together and getattr(answers, "is_batched", False):
                    yield _Pause(place=_place_in_study(graph.study, one), generator=answers)
                num_errors = evaluate(graph, run.name, one, answers, check=lease.check)
            if num_errors:
                faults.append(f"{num_errors} samples of {name} could not be generated or scored (see log.txt)")
            done = state.num_evaluated + number + 1
            reporter.update(evaluations=done, evaluate_seconds=time.monotonic() - started)
            if not together:
                self.tracking.scores(one)
        if together:  # trackers show one run at a time
            self.tracking.start(graph.study.name, run.name, _facts(run), graph.store.trackers_folder)
            for one in missing:
                self.tracking.scores(one)
        return faults


def _place_in_study(study: Study, one: EvaluationStep) -> tuple[int, int]:
    """Return the number of an evaluation and that of the language."""
    return list(study.evaluations).index(one.evaluation.name), one.evaluation.languages.index(one.language)


def _needs_training(state: RunState, checkpoint: Path) -> bool:
    """Return whether the run must be trained: it never was, or predictions are missing and its checkpoint was removed
    or damaged. The checkpoint is hashed before use, because its weights determine the predictions."""
    if not (state.trained or state.training_is_damaged):
        return True
    if all(finished_predictions(one) is not None for one in state.missing):
        return False
    assert state.steps.train is not None
    return not (checkpoint.is_dir() and state.steps.train.state(thorough=True).intact)


def _facts(run: Run) -> dict[str, str | int]:
    """What trackers show beside the name of a run."""
    return {
        "model": run.model.name,
        "mixture": "base" if run.mixture is None else run.mixture.name,
        "seed": run.seed,
    }


def _description(run: str, error: Exception) -> str:
    """Return the beginning of a message: which run cannot continue, and at which file."""
    file = getattr(error, "filename", None)
    return f"{run} cannot continue ({file})" if file else f"{run} cannot continue"


def _follow_an_equal_run(worker: _Worker) -> set[str]:
    """Return the runs that have the training of a run before them."""
    place = {name: number for number, name in enumerate(worker.graph.runs)}
    return {name for name, others in worker.equal_runs.items() if any(place[one] < place[name] for one in others)}


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
