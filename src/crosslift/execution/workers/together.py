"""Training of several LoRA runs of one base model by one worker.

A worker that is about to train a run claims others of its base model that nobody has begun, each with a lease of its
own, and gives them to the trainer together. Each keeps its progress, trackers, state, errors and provenance: if one
fails, or its lease is lost, the others go on. As soon as a run is trained its lease is released, and it is evaluated
like any trained run, by this worker or another.
"""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crosslift.discover import member
from crosslift.errors import CrossliftError, LeaseHeld
from crosslift.execution.definitions.reconcile import reconcile_run
from crosslift.execution.folder.progress import Progress, ProgressWriter
from crosslift.execution.folder.provenance import environment
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.phases.evaluate import free_memory
from crosslift.execution.phases.train import Training, begin_training
from crosslift.execution.workers.job import RUN_STARTED
from crosslift.execution.workers.tracking import Trackers, Tracking, facts_of
from crosslift.extras import optional
from crosslift.system.leases import Lease, lease_holder

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class _Claimed:
    """A run that is trained with others."""

    name: str
    lease: Lease
    reporter: ProgressWriter
    tracking: Tracking
    training: Training | None = None


@dataclass(kw_only=True)
class Together:
    """Trains runs together for a worker."""

    graph: StepGraph
    limits: Mapping[str, int]
    """Base model -> largest number of its runs; 1 where they are trained one by one."""
    num_workers: int
    """Workers that share the runs."""
    session: str
    trackers: Trackers
    settings: Mapping[str, Any]
    """Settings of `begin_training` that all runs of the worker share."""
    interval_seconds: float
    """Time between two writings of a run's progress."""
    alone: set[str]
    """Runs that follow an equal run, whose training is copied."""
    equal_runs: Mapping[str, Sequence[str]]
    is_left: Callable[[str], bool]
    check_definition: Callable[[Sequence[str]], None]
    record: Callable[[str, Lease, Exception], bool]
    """Writes the error of a run; returns whether another worker has taken it over instead."""
    log_to: Callable[[Path], AbstractContextManager[None]]
    say: Callable[[str], None]
    trained: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Run -> fields of its progress, for the worker that goes on with it."""
    refused: set[str] = field(default_factory=set)
    """Base models whose runs turned out to need training one by one."""

    def train(self, name: str, waiting: Sequence[str]) -> bool:
        """Train a run together with others of its base model, if there are any that nobody has begun.

        Args:
            name: the run that the worker is about to take.
            waiting: runs that the worker has not taken, in its order.

        Returns:
            Whether no run failed.
        """
        candidates = self._candidates(name, waiting)
        size = min(self._limit(name), math.ceil(len(candidates) / self.num_workers))
        if size < 2:
            return True
        with contextlib.ExitStack() as stack:
            held: dict[str, Lease] = {}
            for other in candidates:
                if len(held) < size and (lease := self._lease(other, stack)) is not None:
                    held[other] = lease
                if name not in held:
                    return True
            if len(held) < 2:
                return True
            self.say(f"{RUN_STARTED} {name}")
            self.say(f"trained together with {name}: {', '.join(list(held)[1:])}")
            stack.enter_context(self.log_to(self._log_file(name)))
            return self._train([self._claimed(one, lease, name, stack) for one, lease in held.items()])

    def _limit(self, name: str) -> int:
        model = self.graph.runs[name].model.name
        return 1 if model in self.refused else self.limits.get(model, 1)

    def _candidates(self, name: str, waiting: Sequence[str]) -> list[str]:
        """The run and others of its base model that are to be trained, leased or not: as many as all workers take."""
        limit = self._limit(name)
        if limit < 2 or not self._is_untrained(name):
            return []
        number = limit * self.num_workers
        model, found = self.graph.runs[name].model.name, [name]
        others = (one for one in waiting[waiting.index(name) + 1 :] if self.graph.runs[one].model.name == model)
        for _, other in zip(range(8 * number), others, strict=False):  # the runs that follow are mostly untrained
            if len(found) == number:
                break
            if self._is_untrained(other):
                found.append(other)
        return found

    def _is_untrained(self, name: str) -> bool:
        """Whether a run must be trained, and its training is not that of an equal run."""
        run, store = self.graph.runs[name], self.graph.store
        if run.mixture is None or name in self.alone or store.error(name) is not None or not self.is_left(name):
            return False
        for other in self.equal_runs.get(name, ()):
            if lease_holder(store.run_folder(other)) is not None or self.graph.state(self.graph.runs[other]).trained:
                return False
        state = self.graph.state(run)
        return not (state.trained or state.training_is_damaged)

    def _lease(self, name: str, stack: contextlib.ExitStack) -> Lease | None:
        """Claim a run; None if it is claimed, has failed or was trained meanwhile, or if a worker died on it: such a
        run is trained alone, so that only one run is counted as having killed its worker."""
        lease = Lease(self.graph.store.run_folder(name), session=self.session)
        try:
            lease.acquire()
        except LeaseHeld:
            return None
        stack.callback(lease.release)
        self.check_definition([name])
        reconcile_run(self.graph, self.graph.runs[name])
        # Read again after the lease was acquired: another process may have taken the run before.
        if lease.deaths == 0 and self._is_untrained(name):
            return lease
        lease.release(finished=not self.is_left(name))
        return None

    def _claimed(self, name: str, lease: Lease, first: str, stack: contextlib.ExitStack) -> _Claimed:
        graph, run = self.graph, self.graph.runs[name]
        if name != first:
            with self.log_to(self._log_file(name)):
                log.info("trained together with %s, whose log.txt holds what the trainer prints", first)
        tracking = Tracking(self.trackers)
        stack.callback(tracking.finish)
        reporter = ProgressWriter(
            graph.store.run_folder(name),
            num_evaluations=len(graph.steps(run).evaluations),
            evaluations=graph.state(run).num_evaluated,
            listener=tracking.progress,
            interval_seconds=self.interval_seconds,
        )
        tracking.start(graph.study.name, name, facts_of(run), graph.store.trackers_folder)
        reporter.update(phase="loading")
        return _Claimed(name=name, lease=lease, reporter=reporter, tracking=tracking)

    def _train(self, claimed: Sequence[_Claimed]) -> bool:
        names = [one.name for one in claimed]
        log.info("started together: %s", ", ".join(names))
        failed: list[str] = []
        begun: list[_Claimed] = []

        def end(one: _Claimed, result: object) -> None:
            try:
                if isinstance(result, Exception):
                    raise result
                assert one.training is not None
                one.training.finish(result, trained_with=[name for name in names if name != one.name])
                self.graph.write_provenance(self.graph.steps(self.graph.runs[one.name]), environment())
                self.trained[one.name] = _kept(one.reporter.now)
            except Exception as error:
                with self.log_to(self._log_file(one.name)):
                    if not self.record(one.name, one.lease, error):
                        failed.append(one.name)
            one.tracking.finish()
            one.lease.release()

        for one in claimed:
            try:
                steps = self.graph.steps(self.graph.runs[one.name])
                settings = {**self.settings, "reporter": one.reporter, "check": one.lease.check}
                one.training = begin_training(self.graph, steps, **settings)
                begun.append(one)
            except Exception as error:
                end(one, error)
        requests = [one.training.request for one in begun if one.training is not None]
        try:
            with optional():
                trainer = member("trainer", self.graph.study.training.trainer)
                reason = trainer.train_together(requests, lambda index, result: end(begun[index], result))
        except CrossliftError:
            raise
        except Exception as error:
            log.exception("unexpected error")
            reason = f"{type(error).__name__}: {error}"
        if reason is not None:
            log.warning("the runs are trained one by one: %s", reason)
            self.say(f"Trained one by one: {reason}")
            self.refused.add(self.graph.runs[names[0]].model.name)
        free_memory()
        return not failed

    def _log_file(self, name: str) -> Path:
        return self.graph.store.run_folder(name) / "log.txt"


def _kept(now: Progress) -> dict[str, Any]:
    """What a worker that evaluates a run still reports of its training."""
    names = ("step", "first_step", "num_steps", "loss", "tokens_per_second", "train_seconds")
    return {name: getattr(now, name) for name in names}
