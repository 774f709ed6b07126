"""A worker takes runs one after another and walks each along the line: train, generate, score.

A worker takes many runs because importing the training libraries costs seconds, which a study of 200 small runs would
otherwise pay 200 times. It knows nothing of other workers: a run belongs to whoever holds its lease, what is done is
read from the folder, and two workers on one study share it by themselves.

What goes wrong in one run is written into its folder and stops neither this worker nor the others. A worker that dies
without a word leaves a dead lease; who takes it over counts the deaths, so that a run that fills the memory is not
tried for ever.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crosslift.errors import (
    CrossliftError,
    EvaluationError,
    LeaseHeld,
    StoreError,
    TrainingError,
    UnknownName,
    did_you_mean,
)
from crosslift.execution.folder.progress import ProgressWriter
from crosslift.execution.folder.provenance import environment
from crosslift.execution.folder.reuse import copy_predictions, copy_training, equal_runs
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.steps import RunState
from crosslift.execution.folder.store import Store
from crosslift.execution.phases.evaluate import evaluate, finished_predictions, free_memory, load_generator, rescore
from crosslift.execution.phases.train import train
from crosslift.execution.workers.job import RUN_STARTED, graceful_termination
from crosslift.extras import optional
from crosslift.studies.study import Study
from crosslift.system.files import make_folder, missing_root_error
from crosslift.system.leases import Lease, lease_holder
from crosslift.system.refusals import OF_THE_FILE_SYSTEM, as_store_error

MAX_WORKER_DEATHS = 2
"""A run whose workers died so often in one session is given up: the memory will not grow by trying."""

log = logging.getLogger(__name__)
Say = Callable[[str], None]


def work(
    study: Study,
    names: Sequence[str] = (),
    *,
    device: str = "auto",
    keep_checkpoints: bool = True,
    generators: Mapping[str, Mapping[str, Any]] | None = None,
    session: str = "",
    say: Say = lambda line: None,
) -> bool:
    """Take unleased, missing runs until there are none.

    Args:
        names: only these runs, also those that failed before; empty for all that have not failed.
        session: who launched the worker; deaths are counted within it.

    Returns:
        Did every run that this worker took end well?

    Raises:
        StoreError: the study is not prepared.
        UnknownName: no such run.
        StaleStep: finished work disagrees with the study.
    """
    graph = StepGraph(study, Store(study.results_folder))
    unknown = [name for name in names if name not in graph.runs]
    if unknown:
        raise UnknownName(
            f"'{unknown[0]}' is not a run of this study.{did_you_mean(unknown[0], graph.runs)} See: crosslift status"
        )
    graph.store.lock()
    graph.store.clear_errors(names)
    worker = _Worker(
        graph=graph,
        device=device,
        keep_checkpoints=keep_checkpoints,
        generators=generators or {},
        session=session,
        say=say,
        equal_runs=equal_runs(graph),
        waits_for_equal_runs=not names,
    )
    runs = [graph.runs[name] for name in names or graph.runs]
    missing = [name for name, state in graph.states(runs).items() if not state.done]
    # A twin comes last: by then the run that it equals is finished and there is nothing to compute.
    waiting = sorted(missing, key=lambda name: _follows_an_equal_run(worker, name))
    good = True
    with graceful_termination():
        while waiting:
            leased = []
            for name in waiting:
                try:
                    good &= worker.take(name)
                except LeaseHeld:
                    leased.append(name)  # looked at once more at the end: its owner may have died
            if leased == waiting:
                break
            waiting = leased
    return good


@dataclass(frozen=True, kw_only=True)
class _Worker:
    graph: StepGraph
    device: str
    keep_checkpoints: bool
    generators: Mapping[str, Mapping[str, Any]]
    """The site's settings of each generator."""
    session: str
    say: Say
    equal_runs: dict[str, tuple[str, ...]]
    waits_for_equal_runs: bool
    """Leave a run alone while somebody works on its twin. Not where just this run was asked for."""

    def take(self, name: str) -> bool:
        """Do what is missing of a run. False if it did not end well.

        Raises:
            LeaseHeld: somebody else is at it.
        """
        store = self.graph.store
        for equal_run in self.equal_runs.get(name, ()) if self.waits_for_equal_runs else ():
            if lease_holder(store.run_folder(equal_run)) is not None:
                raise LeaseHeld(f"{name} waits for {equal_run}, which is the same training. Somebody works on it.")
        lease = Lease(store.run_folder(name), session=self.session)
        lease.acquire()
        finished = False
        try:
            # Read only now: somebody else may have finished it before the lease was taken.
            if store.error(name) is not None:
                return True
            if not self.graph.state(self.graph.runs[name]).done:
                self.say(f"{RUN_STARTED} {name}")
                with _log_to(store.run_folder(name) / "log.txt"):
                    finished = self._try(name, lease)
                return finished
            finished = True
        finally:
            lease.release(finished=finished)
        return True

    def _try(self, name: str, lease: Lease) -> bool:
        """Walk the run; what goes wrong is written into its folder.

        Raises:
            LeaseHeld: the run was taken over meanwhile. Nothing is written: it belongs to the new owner.
        """
        store = self.graph.store
        try:
            with optional():
                self._walk(name, lease)
        except Exception as error:
            if (gone := missing_root_error(store.run_folder(name))) is not None:
                raise gone from error
            if _is_lost(lease):  # another worker does what is left of the run; what went wrong here came of that
                log.warning("%s was taken over by another worker: %s", name, error)
                return True
            told = error if isinstance(error, CrossliftError) else as_store_error(error, f"{name} cannot go on")
            if isinstance(told, StoreError) and told.errno in OF_THE_FILE_SYSTEM:
                raise told from error  # no other run could be written either
            if told is not None:
                log.error("%s", told)
                store.write_error(name, error=type(told).__name__, message=str(told))
                return False
            log.exception("not foreseen")
            message = f"{error} (the traceback is in {store.name_of(store.run_folder(name))}/log.txt)"
            store.write_error(name, error=type(error).__name__, message=message)
        else:
            return True
        return False

    def _walk(self, name: str, lease: Lease) -> None:
        """Train, generate, score: what is missing of it.

        Raises:
            TrainingError, EvaluationError: and whatever else goes wrong.
        """
        if lease.deaths >= MAX_WORKER_DEATHS:
            raise TrainingError(
                f"{lease.deaths} workers died on this run without a message, probably killed for memory. Lower "
                "micro_batch_tokens, or give the machine more memory; log.txt holds what they said."
            )
        graph, store, run = self.graph, self.graph.store, self.graph.runs[name]
        state = graph.state(run)
        log.info("begins: %s", name)
        reporter = ProgressWriter(
            store.run_folder(name), num_evaluations=len(state.steps.evaluations), evaluations=state.num_evaluated
        )
        reporter.update(phase="loading")
        checkpoint = None if run.mixture is None else store.checkpoint_folder(name)
        if checkpoint is not None and _needs_training(state, checkpoint):
            equal_run = copy_training(graph, state.steps, self.equal_runs.get(name, ()))
            if equal_run is not None:
                log.info("is the same training as %s", equal_run)
            else:
                train(
                    graph,
                    state.steps,
                    device=self.device,
                    generators=self.generators,
                    reporter=reporter,
                    check=lease.check,
                )
            self.graph.write_provenance(state.steps, environment())
            free_memory()
        faults = self._evaluate(state, checkpoint, lease, reporter)
        free_memory()
        self.graph.write_provenance(state.steps, environment())
        reporter.update(phase="done")
        if faults:
            raise EvaluationError("; ".join(faults) + ". They are tried again by: crosslift run")
        if checkpoint is not None and not self.keep_checkpoints:
            # Renamed first: a kill half-way must not leave a checkpoint that looks damaged.
            going = checkpoint.replace(checkpoint.with_name(".checkpoint.removed"))
            shutil.rmtree(going)
        log.info("done: %s", name)

    def _evaluate(self, state: RunState, checkpoint: Path | None, lease: Lease, reporter: ProgressWriter) -> list[str]:
        """Make the missing evaluations. Returns a phrase for each that has errors of our own."""
        graph, run = self.graph, state.steps.run
        model = graph.models[run.model.name]
        faults: list[str] = []
        begun = time.monotonic()
        answers: Any = None
        loaded = ""
        for number, one in enumerate(state.missing):
            lease.check()
            name = f"{one.evaluation.name}.{one.language}"
            reporter.update(phase=f"evaluating {name}")
            log.info("evaluates %s", name)
            whole = finished_predictions(one)
            seconds = whole["seconds"] if whole else copy_predictions(graph, one, self.equal_runs.get(run.name, ()))
            if seconds is not None:
                num_errors = rescore(run.name, one, seconds=seconds, check=lease.check)
            else:
                if loaded != one.evaluation.generator:
                    loaded, answers = one.evaluation.generator, None
                    free_memory()
                    options = self.generators.get(loaded)
                    answers = load_generator(loaded, checkpoint, model, graph, device=self.device, options=options)
                num_errors = evaluate(graph, run.name, one, answers, check=lease.check)
            if num_errors:
                faults.append(f"{num_errors} samples of {name} could not be answered or scored (see log.txt)")
            done = state.num_evaluated + number + 1
            reporter.update(evaluations=done, evaluate_seconds=time.monotonic() - begun)
        return faults


def _needs_training(state: RunState, checkpoint: Path) -> bool:
    """Was the run never trained, or is its checkpoint removed or damaged and something must be generated? It is hashed
    before it is used: its weights decide the answers."""
    if not (state.trained or state.training_is_damaged):
        return True
    if all(finished_predictions(one) is not None for one in state.missing):
        return False
    assert state.steps.train is not None
    return not (checkpoint.is_dir() and state.steps.train.state(thorough=True).whole)


def _follows_an_equal_run(worker: _Worker, name: str) -> bool:
    order = list(worker.graph.runs)
    return any(order.index(equal_run) < order.index(name) for equal_run in worker.equal_runs.get(name, ()))


def _is_lost(lease: Lease) -> bool:
    try:
        lease.check()
    except LeaseHeld:
        return True
    except CrossliftError:  # the folder is gone
        return False
    return False


@contextlib.contextmanager
def _log_to(path: Path) -> Iterator[None]:
    """Everything that this process says goes into the run's log: also what libraries in C write, and a crash's last
    words, which no logging handler sees."""
    make_folder(path.parent)
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.dup2(file, 1)
        os.dup2(file, 2)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(kept[0], 1)
        os.dup2(kept[1], 2)
        for descriptor in (file, *kept):
            os.close(descriptor)
