"""Training of several LoRA runs of one base model by one worker.

A worker that is about to train a run claims others of its base model and gives them to the trainer together. Each keeps
its lease, progress, trackers, state, errors and provenance: if one fails, or its lease is lost, the others go on. As
soon as a run is trained its lease is released, and it is evaluated like any trained run, by this worker or another.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crosslift.discover import member
from crosslift.errors import CrossliftError
from crosslift.execution.folder.progress import Progress, ProgressWriter
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.phases.evaluate import close_engines, free_memory
from crosslift.execution.phases.train import Training, begin_training
from crosslift.execution.workers.job import RUN_STARTED
from crosslift.execution.workers.together.claims import Claims
from crosslift.execution.workers.tracking import Tracking, facts_of
from crosslift.extras import optional
from crosslift.system.environment import environment
from crosslift.system.leases import Lease

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class _Claimed:
    """A run that is trained with others."""

    name: str
    lease: Lease
    reporter: ProgressWriter
    training: Training | None = None


@dataclass(kw_only=True)
class Together:
    """Trains runs together for a worker."""

    graph: StepGraph
    claims: Claims
    tracking: Tracking
    settings: Mapping[str, Any]
    """Settings of `begin_training` that all runs of the worker share."""
    progress_seconds: float
    """Time between two writings of a run's progress."""
    record: Callable[[str, Lease, Exception], bool]
    """Writes the error of a run; returns whether another worker has taken it over instead."""
    log_to: Callable[[Path], AbstractContextManager[None]]
    say: Callable[[str], None]
    trained: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Run -> fields of its progress, for the worker that goes on with it."""

    def train(self, name: str, waiting: Sequence[str]) -> bool:
        """Train a run together with others of its base model, if there are any that nobody has begun.

        Args:
            name: the run that the worker is about to take.
            waiting: runs that the worker has not taken, in its order.

        Returns:
            Whether no run failed.
        """
        with contextlib.ExitStack() as stack:
            held = self.claims.claim(name, waiting, stack)
            if len(held) < 2:
                return True
            self.say(f"{RUN_STARTED} {name}")
            self.say(f"trained together with {name}: {', '.join(list(held)[1:])}")
            stack.enter_context(self.log_to(self._log_file(name)))
            return self._train([self._claimed(one, lease, name) for one, lease in held.items()])

    def _claimed(self, name: str, lease: Lease, first: str) -> _Claimed:
        graph, run = self.graph, self.graph.runs[name]
        if name != first:
            with self.log_to(self._log_file(name)):
                log.info("trained together with %s, whose log.txt holds what the trainer prints", first)
        tracking = self.tracking.begin(graph.study.name, name, facts_of(run), graph.store.trackers_folder)
        reporter = ProgressWriter(
            graph.store.run_folder(name),
            num_evaluations=len(graph.steps(run).evaluations),
            evaluations=graph.state(run).num_evaluated,
            listener=tracking.progress,
            interval_seconds=self.progress_seconds,
        )
        reporter.update(phase="loading")
        return _Claimed(name=name, lease=lease, reporter=reporter)

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
                self.tracking.end(one.name)
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
        close_engines()
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
            self.claims.refuse(names[0])
        free_memory()
        return not failed

    def _log_file(self, name: str) -> Path:
        return self.graph.store.run_folder(name) / "log.txt"


def _kept(now: Progress) -> dict[str, Any]:
    """What a worker that evaluates a run still reports of its training."""
    names = ("step", "first_step", "num_steps", "loss", "tokens_per_second", "train_seconds")
    return {name: getattr(now, name) for name in names}
