"""The missing steps of one run: train, generate, score.

Steps whose results a run of the same definition has are copied, and predictions that exist are scored again. The worker
that calls this holds the lease of the run, which is checked between steps. A run pauses where others can be
evaluated with it.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
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
from crosslift.studies.run import Run
from crosslift.studies.site import Site
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
    site: Site
    """Its device, checkpoints, and options of generators."""
    num_devices: Mapping[str, int]
    """Base model -> devices that its runs share."""
    tracking: Tracking
    equal_runs: Mapping[str, tuple[str, ...]]
    """Run -> runs with the same training."""
    progress_seconds: float
    """Time between two lines of progress in the folder of the run."""

    def group_size(self, evaluations: Iterable[EvaluationStep]) -> int:
        """Return how many runs are evaluated together with the engine that evaluations need; 1: they need none."""
        used = {one.evaluation.generator for one in evaluations}
        return max((runs_per_engine(name, self.site.generators.get(name)) for name in used), default=1)

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
        _expect_few_deaths(lease)
        graph, store, run = self.graph, self.graph.store, self.graph.runs[name]
        state = graph.state(run)
        checkpoint = None if run.mixture is None else store.checkpoint_folder(name)
        trains = checkpoint is not None and _needs_training(state, checkpoint)
        taken.waits = not together and self.group_size(state.missing) > 1
        if taken.waits and not trains:
            return
        tracking, reporter = self._reporters(taken, state)
        if trains:
            self._train(state, lease, reporter)
        if taken.waits:
            log.info("trained: %s", name)
            return
        faults: list[str] = []
        answers: Any = None
        loaded, started = "", time.monotonic()
        # Those that need an engine come last, so that all runs of a group use the same one.
        missing = sorted(state.missing, key=lambda one: self.group_size([one]) > 1)
        for number, one in enumerate(missing, start=1):
            end_if_asked()
            lease.check()
            label = f"{one.evaluation.name}.{one.language}"
            reporter.update(phase=f"evaluating {label}")
            log.info("evaluating %s", label)
            seconds = self._seconds_of_predictions(one, name)
            if seconds is not None:
                num_errors = rescore(name, one, seconds=seconds, check=lease.check)
            else:
                if loaded != one.evaluation.generator:
                    loaded, answers = one.evaluation.generator, None
                    free_memory()
                    if self.group_size([one]) == 1:
                        close_engines()
                    elif together:
                        yield Pause()
                    answers = self._load(loaded, run, checkpoint)
                if together and getattr(answers, "is_batched", False):
                    yield Pause(place=_place_in_study(graph.study, one), generator=answers)
                num_errors = evaluate(graph, name, one, answers, check=lease.check)
            if num_errors:
                faults.append(f"{num_errors} samples of {label} could not be generated or scored (see log.txt)")
            reporter.update(evaluations=state.num_evaluated + number, evaluate_seconds=time.monotonic() - started)
            tracking.scores(one)
        answers = None
        free_memory()
        graph.write_provenance(state.steps, environment())
        reporter.update(phase="done")
        if faults:
            raise EvaluationError("; ".join(faults) + ". To retry them, run: crosslift run")
        self._discard(checkpoint)
        log.info("done: %s", name)

    def _reporters(self, taken: TakenRun, state: RunState) -> tuple[RunTracking, ProgressWriter]:
        """Begin to record a run: its losses and scores in the site's trackers, its progress in its folder."""
        graph, name = self.graph, taken.name
        log.info("started: %s", name)
        tracking = self.tracking.begin(graph.study.name, name, facts_of(graph.runs[name]), graph.store.trackers_folder)
        reporter = ProgressWriter(
            graph.store.run_folder(name),
            num_evaluations=len(state.steps.evaluations),
            evaluations=state.num_evaluated,
            listener=tracking.progress,
            interval_seconds=self.progress_seconds,
        )
        reporter.update(phase="loading", **taken.trained)
        return tracking, reporter

    def _discard(self, checkpoint: Path | None) -> None:
        """Remove the checkpoint of a finished run, if the site does not keep it."""
        if checkpoint is not None and not self.site.keep_checkpoints:
            # Renamed first: an interrupted removal must not leave a checkpoint that appears damaged.
            shutil.rmtree(checkpoint.replace(checkpoint.with_name(".checkpoint.removed")))

    def _train(self, state: RunState, lease: Lease, reporter: ProgressWriter) -> None:
        """Train a run, or copy the training of an equal run."""
        graph, run = self.graph, state.steps.run
        equal_run = copy_training(graph, state.steps, self.equal_runs.get(run.name, ()))
        if equal_run is not None:
            log.info("copied the training of the equal run %s", equal_run)
        else:
            close_engines()
            train(
                graph,
                state.steps,
                device=self.site.device,
                generators=self.site.generators,
                reporter=reporter,
                check=lease.check,
                ending=asked_to_end,
                num_devices=self.num_devices[run.model.name],
                cpu_offload=self.site.cpu_offload,
                compile=self.site.compile,
            )
        graph.write_provenance(state.steps, environment())
        free_memory()

    def _seconds_of_predictions(self, one: EvaluationStep, run: str) -> float | None:
        """Return the seconds that existing predictions took, or copied ones of an equal run; None without either."""
        finished = finished_predictions(one)
        if finished is None:
            return copy_predictions(self.graph, one, self.equal_runs.get(run, ()))
        seconds: float = finished["seconds"]
        return seconds

    def _load(self, generator: str, run: Run, checkpoint: Path | None) -> Any:
        """Load a generator with the model of a run."""
        return load_generator(
            generator,
            checkpoint,
            self.graph.models[run.model.name],
            self.graph,
            device=self.site.device,
            options=self.site.generators.get(generator),
            num_devices=self.num_devices[run.model.name],
        )


def _expect_few_deaths(lease: Lease) -> None:
    if lease.deaths >= MAX_WORKER_DEATHS:
        raise TrainingError(
            f"{lease.deaths} workers died on this run without a message, probably killed for memory. Lower "
            "micro_batch_tokens, or use a machine with more memory; log.txt contains the output of the workers."
        )


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
