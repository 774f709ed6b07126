"""Training of the final model, resumable at any moment.

The work is done in a hidden folder `.NAME.partial` next to the model folder NAME, under a lease. The folder appears
under its name when it is complete. An interrupted training continues when it is started again with the same request.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from crosslift.discover import member
from crosslift.errors import StoreError
from crosslift.execution.folder.checksums import CHECKPOINT, STARTED, read_marker
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.steps import Step
from crosslift.execution.phases.examples import gather_tokens
from crosslift.execution.phases.train import training_request
from crosslift.final.folder import FinalModel, manifest_of, place, put_back, read_final, write_final
from crosslift.final.plan import FinalPlan, duration
from crosslift.system.files import read_json, remove
from crosslift.system.leases import HEARTBEAT_SECONDS, Lease
from crosslift.training.trainer import BaseName, Progress

Say = Callable[[str], None]
SECONDS_BETWEEN_LINES = 30.0
"""Seconds between two lines of progress."""
TRAIN = "train"
MODEL = "model"
"""Folders of the training and of the model folder in progress, below the hidden folder."""


def train_final(
    graph: StepGraph,
    plan: FinalPlan,
    folder: Path,
    *,
    device: str = "auto",
    num_devices: int = 1,
    cpu_offload: bool = False,
    compile: bool = True,
    generators: Mapping[str, Mapping[str, Any]] | None = None,
    say: Say = lambda line: None,
) -> FinalModel:
    """Train a plan and write the model folder. A finished folder of the same plan is left as it is.

    Args:
        graph: the steps of the study, which must be prepared.
        plan: what to train.
        folder: the model folder; it must not exist, be empty, or hold a model of the same plan.
        device: as in the site file.
        num_devices: devices that share the training, if the trainer can divide it.
        cpu_offload: whether a training on several GPUs keeps weights and moments in the memory of the machine.
        compile: whether GPUs may compile the layers of a model.
        generators: the site's options per generator, for selecting checkpoints by score.
        say: receives lines of progress.

    Returns:
        The finished model.

    Raises:
        StoreError: the folder holds something else, or unfinished work of another request is next to it.
        LeaseHeld: another process works on the same folder.
        TrainingError: the model cannot be trained.
    """
    target = folder.absolute()
    hidden = target.with_name(f".{target.name}.partial")
    if not hidden.exists() and (found := read_final(target, plan)) is not None:
        return found
    _refuse_other(target, hidden, plan)
    with Lease(hidden) as lease:
        put_back(target, hidden)
        found = read_final(target, plan)
        if found is None:
            _refuse_other(target, hidden, plan)
            trained, training = _trained(
                graph,
                plan,
                target,
                hidden,
                lease,
                device=device,
                num_devices=num_devices,
                cpu_offload=cpu_offload,
                compile=compile,
                generators=generators or {},
                say=say,
            )
            if plan.merge:
                say("Merging the adapter")
            write_final(graph, plan, trained, hidden / MODEL, training)
            lease.check()
            place(hidden / MODEL, target, hidden)
        for name in (TRAIN, MODEL):
            remove(hidden / name)
        lease.release(finished=True)
    with contextlib.suppress(OSError):  # another process has leased it since, and will find the finished model
        hidden.rmdir()
    if found is not None:
        return found
    return FinalModel(
        folder=folder,
        num_examples=plan.examples.height,
        num_steps=plan.num_steps,
        merged=plan.merge,
        was_finished=False,
    )


def _refuse_other(target: Path, hidden: Path, plan: FinalPlan) -> None:
    """Raise `StoreError` if the folder, or the unfinished work next to it, is of another request."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        found = manifest_of(target) if target.is_dir() else None
        if found is None:
            raise StoreError(f"{target} exists and is not an empty folder. Choose another folder.")
        if found["fingerprint"] != plan.fingerprint:
            raise StoreError(
                f"{target} holds a model of another request (mixture {found['mixture']['mixture']}, "
                f"{found['mixture']['num_examples']:,} examples, seed {found.get('seed')}). Choose another folder."
            )
    begun = read_json(hidden / TRAIN / STARTED) or read_marker(hidden / TRAIN)
    is_other = isinstance(begun, dict) and begun.get("fingerprint") != plan.fingerprint
    if is_other and any(file.name != STARTED for file in (hidden / TRAIN).iterdir()):  # there is work to be lost
        raise StoreError(
            f"{hidden} holds the unfinished training of another request. Start it again with the options that it was "
            "begun with, choose another folder, or remove it."
        )


def _trained(
    graph: StepGraph,
    plan: FinalPlan,
    target: Path,
    hidden: Path,
    lease: Lease,
    *,
    device: str,
    num_devices: int,
    cpu_offload: bool,
    compile: bool,
    generators: Mapping[str, Mapping[str, Any]],
    say: Say,
) -> tuple[Path, dict[str, Any]]:
    """Return the checkpoint and the result of the training, which is done now unless it has been done before."""
    finished = manifest_of(target)
    if finished is not None:  # its adapter is to be merged
        return target, finished["training"]
    step = Step(name=f"final/{TRAIN}", folder=hidden / TRAIN, inputs=plan.inputs)
    state = step.state(thorough=True)
    if state.intact and state.outputs is not None:
        return step.folder / CHECKPOINT, state.outputs
    step.begin()
    base = graph.models[plan.run.model.name]
    started = time.monotonic()
    request = training_request(
        graph,
        plan.run,
        examples=gather_tokens(graph, plan.run, plan.examples.select("corpus", "language", "row")),
        folder=step.folder,
        # An adapter of a local model is merged: on another machine it could not name its base model.
        base_name=BaseName(name=base.path if base.commit else None, revision=base.commit),
        device=device,
        generators=generators,
        report=_reporter(lease, say),
        num_devices=num_devices,
        cpu_offload=cpu_offload,
        compile=compile,
    )
    result = member("trainer", graph.study.training.trainer).train(request)
    lease.check()
    facts = asdict(result) if is_dataclass(result) and not isinstance(result, type) else {}
    facts = {"seconds": time.monotonic() - started} | facts
    facts = {name: round(value, 3) if isinstance(value, float) else value for name, value in facts.items()}
    step.finish(**facts)
    return step.folder / CHECKPOINT, facts


def _reporter(lease: Lease, say: Say) -> Callable[[Progress], None]:
    """Return the function that receives the progress: it checks the lease, and prints a line now and then."""
    checked = said = time.monotonic()
    first: tuple[int, float] | None = None

    def report(progress: Progress) -> None:
        nonlocal checked, said, first
        now = time.monotonic()
        first = first or (progress.step, now)  # the time excludes loading the model
        if now - checked >= HEARTBEAT_SECONDS:
            lease.check()
            checked = now
        if now - said >= SECONDS_BETWEEN_LINES and progress.step > first[0]:
            left = (progress.num_steps - progress.step) * (now - first[1]) / (progress.step - first[0])
            said = now
            say(f"step {progress.step:,} of {progress.num_steps:,}, loss {progress.loss:.3f}, {duration(left)} left")

    return report
