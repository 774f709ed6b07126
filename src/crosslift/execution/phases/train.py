"""Training step of a run: builds the trainer's request from the study's folder."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crosslift.discover import member
from crosslift.execution.folder.checksums import CHECKPOINT
from crosslift.execution.folder.progress import ProgressWriter
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.steps import RunSteps, Step
from crosslift.execution.folder.tables import read_step_table
from crosslift.execution.phases import evaluate
from crosslift.execution.phases.examples import (
    gather_tokens,
    stage_sizes,
    training_rows,
    validation_of,
    validation_row_numbers,
)
from crosslift.studies.run import Run
from crosslift.system.leases import HEARTBEAT_SECONDS
from crosslift.training.trainer import BaseName, Progress, TokenTable, TrainingRequest


@dataclass(frozen=True, kw_only=True)
class Training:
    """The training of a run that has begun."""

    step: Step
    request: TrainingRequest
    check: Callable[[], None]
    started: float

    def finish(self, trained: object, **facts: Any) -> None:
        """Mark the step as finished.

        Args:
            trained: what the trainer returned.
            **facts: further outputs of the step, in JSON types.
        """
        self.check()
        reductions = self.request.config.reductions
        facts |= {"reduced_precision": reductions} if reductions else {}
        found = asdict(trained) if is_dataclass(trained) and not isinstance(trained, type) else {}
        self.step.finish(**({"seconds": round(time.monotonic() - self.started, 3)} | found | facts))


def train(graph: StepGraph, steps: RunSteps, **settings: Any) -> None:
    """Train a run. After an interruption, the trainer resumes from the state in the step's folder.

    Args:
        graph: the steps of the study.
        steps: the steps of the run.
        **settings: those of `begin_training`.

    Raises:
        TrainingError: the run cannot be trained. Other exceptions of the trainer are not caught.
    """
    training = begin_training(graph, steps, **settings)
    training.finish(member("trainer", graph.study.training.trainer).train(training.request))


def begin_training(
    graph: StepGraph,
    steps: RunSteps,
    *,
    device: str,
    generators: Mapping[str, Mapping[str, Any]],
    reporter: ProgressWriter,
    check: Callable[[], None],
    ending: Callable[[], bool] = lambda: False,
    num_devices: int = 1,
    cpu_offload: bool = False,
    compile: bool = True,
) -> Training:
    """Prepare the folder of the training step and the trainer's request.

    Args:
        graph: the steps of the study.
        steps: the steps of the run.
        device: as in the site file.
        generators: the site's options per generator, for selecting checkpoints by score.
        reporter: receives the progress.
        check: called every few seconds and before the step is marked as finished; raises if this worker must stop.
        ending: whether this worker was told to end, so that the trainer saves its state and ends.
        num_devices: devices that share the run, if the trainer can divide it.
        cpu_offload: whether a run on several GPUs keeps weights and moments in the memory of the machine.
        compile: whether GPUs may compile the layers of a model.

    Returns:
        The training, which the trainer has to carry out.
    """
    run, step = steps.run, steps.train
    assert step is not None
    check()
    step.begin()
    started = time.monotonic()
    first: int | None = None
    last = spent = 0.0
    check_now_and_then = _every(HEARTBEAT_SECONDS, check)

    def report(progress: Progress) -> None:
        nonlocal first, last, spent
        now = time.monotonic()
        if first is None:  # the time excludes loading the model
            first = progress.step
        else:
            spent += (now - last) / progress.together
        last = now
        check_now_and_then()
        reporter.update(
            phase="training",
            step=progress.step,
            first_step=first,
            num_steps=progress.num_steps,
            loss=progress.loss,
            tokens_per_second=progress.tokens_per_second,
            train_seconds=spent,
            curve={name: list(losses) for name, losses in progress.curve.items()},
        )

    rows = training_rows(graph, run)
    request = training_request(
        graph,
        run,
        examples=gather_tokens(graph, run, rows),
        stages=stage_sizes(rows),
        folder=step.folder,
        base_name=base_name(graph, run, step.folder / CHECKPOINT),
        device=device,
        generators=generators,
        report=report,
        ending=ending,
        num_devices=num_devices,
        cpu_offload=cpu_offload,
        compile=compile,
    )
    return Training(step=step, request=request, check=check, started=started)


def training_request(
    graph: StepGraph,
    run: Run,
    *,
    examples: TokenTable,
    folder: Path,
    base_name: BaseName,
    device: str,
    generators: Mapping[str, Mapping[str, Any]],
    report: Callable[[Progress], None],
    ending: Callable[[], bool] = lambda: False,
    num_devices: int = 1,
    cpu_offload: bool = False,
    compile: bool = True,
    stages: tuple[int, ...] = (),
) -> TrainingRequest:
    """Build the trainer's request.

    Args:
        graph: the steps of the study.
        run: model, mixture and seed; the run need not be one of the study.
        examples: the training examples.
        folder: folder for the checkpoint, the metrics and the state of an interrupted training.
        base_name: name of the base model in an adapter's configuration.
        device: as in the site file.
        generators: the site's options per generator, for selecting checkpoints by score.
        report: receives the progress.
        ending: whether the process was told to end.
        num_devices: devices that share the run, if the trainer can divide it.
        cpu_offload: whether a run on several GPUs keeps weights and moments in the memory of the machine.
        compile: whether GPUs may compile the layers of a model.
        stages: numbers of examples of the stages of the mixture; empty if it has none.

    Returns:
        The request.
    """
    assert run.mixture is not None
    model, config = graph.models[run.model.name], graph.study.training
    divides = getattr(member("trainer", config.trainer), "SEVERAL_DEVICES", False)
    score = None
    if config.select_by == "score":
        score = _validation_score(graph, run, device, generators, num_devices)
    return TrainingRequest(
        model=str(model.folder(graph.study.folder)),
        revision=None,  # the folder is the snapshot of the commit
        config=config,
        examples=examples,
        validation=validation_of(graph, run),
        seed=run.seed,
        folder=folder,
        score=score,
        report=report,
        ending=ending,
        device=device,
        shuffle=run.mixture.order == "shuffled",
        stages=stages,
        template=model.template,
        base_name=base_name,
        num_devices=num_devices if divides else 1,
        cpu_offload=cpu_offload,
        compile=compile,
    )


def base_name(graph: StepGraph, run: Run, checkpoint: Path) -> BaseName:
    """Name the base model for the configuration of an adapter in the folder of the study.

    A hub model is named with its commit. A local model gets a path relative to the checkpoint, which remains correct
    when the study is moved. A model that the study file names by an absolute path is not named, because the path means
    nothing on another machine.

    Args:
        graph: the steps of the study.
        run: gives the model.
        checkpoint: folder of the adapter.

    Returns:
        The name.
    """
    model = graph.models[run.model.name]
    if model.path.startswith("pocket:") or model.commit is not None:
        return BaseName(name=model.path, revision=model.commit)
    if model.path.startswith(("/", "~")):
        return BaseName(name=None)
    return BaseName(name=Path(os.path.relpath(graph.study.folder / model.path, checkpoint)).as_posix())


def _every(seconds: float, call: Callable[[], None]) -> Callable[[], None]:
    """Wrap a function so that it runs at most once per interval."""
    last = time.monotonic()

    def check() -> None:
        nonlocal last
        if time.monotonic() - last >= seconds:
            call()
            last = time.monotonic()

    return check


def _validation_score(
    graph: StepGraph, run: Run, device: str, generators: Mapping[str, Mapping[str, Any]], num_devices: int
) -> Callable[[Path], float]:
    """Return a function that computes the mean primary metric of a checkpoint over validation corpora and languages."""
    model = graph.models[run.model.name]

    def score(checkpoint: Path) -> float:
        means: list[float] = []
        for corpus, tags in graph.study.validation_of(run).items():
            means += _scores_of(corpus, tags, checkpoint)
            evaluate.free_memory()
        return float(np.mean(means))

    def _scores_of(corpus: str, tags: Sequence[str], checkpoint: Path) -> list[float]:
        source = graph.study.corpora[corpus]
        evaluations = [one for one in graph.study.evaluations_of(run) if one.task == source.task]
        name = evaluations[0].generator if evaluations else "hf"
        options = generators.get(name)
        answers = evaluate.load_generator(
            name, checkpoint, model, graph, device=device, options=options, num_devices=num_devices
        )
        rows = read_step_table(graph.store.corpus_folder(corpus), "rows.parquet")
        return [
            evaluate.mean_score(
                answers,
                rows[validation_row_numbers(graph, corpus, [tag])],
                task_name=source.task,
                prompt=graph.study.prompts[corpus],
                max_tokens=evaluations[0].max_tokens if evaluations else None,
                require_language=any(one.require_language for one in evaluations),
                few_shot_examples=(
                    evaluate.few_shot_examples(graph, evaluations[0], tag)
                    if evaluations and tag in evaluations[0].languages
                    else []
                ),
                stop=evaluations[0].stop if evaluations else (),
            )
            for tag in tags
        ]

    return score
