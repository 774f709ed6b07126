"""The missing steps of one run: train, generate, score.

Steps whose results a run of the same definition has are copied, and predictions that exist are scored again. The worker
that calls this holds the lease of the run, which is checked between steps. A run pauses where others can be
evaluated with it.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crosslift.errors import EvaluationError, TrainingError
from crosslift.execution.definitions.reuse import copy_predictions, copy_training
from crosslift.execution.folder.progress import ProgressWriter
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.steps import EvaluationStep, RunState
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
from crosslift.execution.workers.job import asked_to_end, end_if_asked
from crosslift.execution.workers.tracking import RunTracking, Tracking, facts_of
from crosslift.studies.study import Study
from crosslift.system.environment import environment
from crosslift.system.leases import Lease

MAX_WORKER_DEATHS = 2
"""Number of worker deaths in one session after which a run fails instead of being retried."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Pause:
    """A place in a run that the runs of a group reach together."""

    place: tuple[int, int] = (-1, -1)
    """Number of the evaluation in the study and of its language; (-1, -1): before an engine is needed."""
    generator: Any = None
    """The loaded generator, which can be asked for several runs at once."""


_BEGIN = Pause(place=(-2, -2))


@dataclass(kw_only=True)
class TakenRun:
    """A run under this worker's lease."""

    name: str
    lease: Lease
    steps: Iterator[Pause]
    """Executes the run; pauses where it may be evaluated together with others."""
    pause: Pause = field(default=_BEGIN)
    """Where it is."""
    is_over: bool = False
    has_failed: bool = False
    waits: bool = False
    """Whether it was released before its evaluations, to be evaluated with others."""
    is_lost: bool = False
    """Whether another worker has taken it over."""
    trained: Mapping[str, Any] = field(default_factory=dict)
    """Fields of its progress, if this worker has trained it together with others."""


@dataclass(frozen=True, kw_only=True)
class RunExecution:
    """How a worker executes its runs."""

    graph: StepGraph
    device: str
    keep_checkpoints: bool
    generators: Mapping[str, Mapping[str, Any]]
    """The site's options per generator."""
    num_devices: Mapping[str, int]
    """Base model -> devices that its runs share; 1 where it is missing."""
    cpu_offload: bool
    compile: bool
    tracking: Tracking
    equal_runs: Mapping[str, tuple[str, ...]]
    """Run -> runs with the same training."""
    progress_seconds: float
    """Time between two lines of progress in the folder of the run."""

    def group_size(self, evaluations: Iterable[EvaluationStep]) -> int:
        """Return how many runs are evaluated together with the engine that evaluations need; 1: they need none."""
        used = {one.evaluation.generator for one in evaluations}
        return max((runs_per_engine(name, self.generators.get(name)) for name in used), default=1)

    def execute(self, taken: TakenRun, *, together: bool) -> Iterator[Pause]:
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
        taken.waits = not together and self.group_size(state.missing) > 1
        if taken.waits and not trains:
            return
        log.info("started: %s", name)
        tracking = self.tracking.begin(graph.study.name, name, facts_of(run), store.trackers_folder)
        reporter = ProgressWriter(
            store.run_folder(name),
            num_evaluations=len(state.steps.evaluations),
            evaluations=state.num_evaluated,
            listener=tracking.progress,
            interval_seconds=self.progress_seconds,
        )
        reporter.update(phase="loading", **taken.trained)
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
                    compile=self.compile,
                )
            self.graph.write_provenance(state.steps, environment())
            free_memory()
        if taken.waits:
            log.info("trained: %s", name)
            return
        faults = yield from self._evaluate(state, checkpoint, lease, reporter, tracking, together=together)
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
        self,
        state: RunState,
        checkpoint: Path | None,
        lease: Lease,
        reporter: ProgressWriter,
        tracking: RunTracking,
        *,
        together: bool,
    ) -> Generator[Pause, None, list[str]]:
        """Execute the missing evaluation steps. Returns a phrase for each step with sample errors."""
        graph, run = self.graph, state.steps.run
        model = graph.models[run.model.name]
        faults: list[str] = []
        started = time.monotonic()
        answers: Any = None
        loaded = ""
        # Those that need an engine come last, so that all runs of a group use the same one.
        missing = sorted(state.missing, key=lambda one: self.group_size([one]) > 1)
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
                    if self.group_size([one]) == 1:
                        close_engines()
                    elif together:
                        yield Pause()
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
                    yield Pause(place=_place_in_study(graph.study, one), generator=answers)
                num_errors = evaluate(graph, run.name, one, answers, check=lease.check)
            if num_errors:
                faults.append(f"{num_errors} samples of {name} could not be generated or scored (see log.txt)")
            done = state.num_evaluated + number + 1
            reporter.update(evaluations=done, evaluate_seconds=time.monotonic() - started)
            tracking.scores(one)
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
