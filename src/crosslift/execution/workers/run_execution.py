"""The missing steps of one run: train, generate, score.

Steps whose results a run of the same definition has are copied, and predictions that exist are scored again. The worker
that calls this holds the lease of the run, which is checked between steps.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crosslift.errors import EvaluationError, TrainingError
from crosslift.execution.definitions.reuse import copy_predictions, copy_training
from crosslift.execution.folder.progress import ProgressWriter
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.steps import RunState
from crosslift.execution.phases.evaluate import evaluate, finished_predictions, free_memory, load_generator, rescore
from crosslift.execution.phases.train import train
from crosslift.execution.workers.job import asked_to_end, end_if_asked
from crosslift.execution.workers.tracking import Tracking
from crosslift.studies.run import Run
from crosslift.system.environment import environment
from crosslift.system.leases import Lease

MAX_WORKER_DEATHS = 2
"""Number of worker deaths in one session after which a run fails instead of being retried."""

log = logging.getLogger(__name__)


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

    def execute(self, name: str, lease: Lease) -> None:
        """Execute the missing steps of a run: train, generate, score.

        Raises:
            TrainingError: the run cannot be trained, or too many workers died on it.
            EvaluationError: samples could not be generated or scored.
        """
        if lease.deaths >= MAX_WORKER_DEATHS:
            raise TrainingError(
                f"{lease.deaths} workers died on this run without a message, probably killed for memory. Lower "
                "micro_batch_tokens, or use a machine with more memory; log.txt contains the output of the workers."
            )
        graph, store, run = self.graph, self.graph.store, self.graph.runs[name]
        state = graph.state(run)
        log.info("started: %s", name)
        reporter = ProgressWriter(
            store.run_folder(name),
            num_evaluations=len(state.steps.evaluations),
            evaluations=state.num_evaluated,
            listener=self.tracking.progress,
            interval_seconds=self.progress_seconds,
        )
        self.tracking.start(graph.study.name, name, _facts(run), store.trackers_folder)
        reporter.update(phase="loading")
        checkpoint = None if run.mixture is None else store.checkpoint_folder(name)
        if checkpoint is not None and _needs_training(state, checkpoint):
            equal_run = copy_training(graph, state.steps, self.equal_runs.get(name, ()))
            if equal_run is not None:
                log.info("copied the training of the equal run %s", equal_run)
            else:
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
        faults = self._evaluate(state, checkpoint, lease, reporter)
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

    def _evaluate(self, state: RunState, checkpoint: Path | None, lease: Lease, reporter: ProgressWriter) -> list[str]:
        """Execute the missing evaluation steps. Returns a phrase for each step with sample errors."""
        graph, run = self.graph, state.steps.run
        model = graph.models[run.model.name]
        faults: list[str] = []
        started = time.monotonic()
        answers: Any = None
        loaded = ""
        for number, one in enumerate(state.missing):
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
                num_errors = evaluate(graph, run.name, one, answers, check=lease.check)
            if num_errors:
                faults.append(f"{num_errors} samples of {name} could not be generated or scored (see log.txt)")
            done = state.num_evaluated + number + 1
            reporter.update(evaluations=done, evaluate_seconds=time.monotonic() - started)
            self.tracking.scores(one)
        return faults


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
