"""Training of several LoRA runs of one base model: one pass for a step of all, and the rest of each step by run."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import torch

from crosslift.errors import TrainingError
from crosslift.training.requests import validate_request
from crosslift.training.trainer import Ended, Trained, TrainingRequest
from crosslift.training.trainers.native.hardware import choose_device, choose_precision, numerics
from crosslift.training.trainers.native.model import load_base
from crosslift.training.trainers.native.passes import fuse_modules
from crosslift.training.trainers.native.together.joint import Joint, Member, obstacle
from crosslift.training.trainers.native.within_memory import train_within_memory

log = logging.getLogger(__name__)


def train_together(requests: Sequence[TrainingRequest], ended: Ended) -> str | None:
    """Train LoRA runs of one base model, whose settings do not require that they are trained one by one.

    They may differ in their examples, seeds, steps, batches, learning rates and schedules. When a device runs out of
    memory, the micro-batches of all are halved, and they continue from their last states.

    Args:
        requests: the requests of the runs.
        ended: called as soon as a run has ended, with its index and its summary or error.

    Returns:
        Why the runs that have not ended must be trained one by one; None if all have ended.

    Raises:
        SystemExit: the process was told to end, and the states of all runs are saved.
    """
    left = dict(enumerate(requests))

    def end(index: int, result: Trained | Exception) -> None:
        del left[index]
        ended(index, result)

    longest = max(requests, key=lambda one: int(one.examples.lengths.max(initial=0)))
    try:
        return train_within_memory(longest, lambda limit: _attempt(left, end, limit))
    except TrainingError as error:  # of all runs: the base model, or memory for the longest example
        return str(error)


def _attempt(left: dict[int, TrainingRequest], end: Ended, limit: int | None) -> str | None:
    """Train from the last states, with this bound of tokens per pass."""
    first = next(iter(left.values()))
    if (different := _different(list(left.values()))) is not None:
        return different
    device = choose_device(first.device)
    precision = choose_precision(first.config.precision, device)
    with numerics(device, precision), contextlib.ExitStack() as stack:
        base = load_base(first, device)
        members: dict[int, Member] = {}
        for index, request in list(left.items()):
            made = _result(partial(_member, request, base, device, precision, limit))
            if isinstance(made, Exception):
                end(index, made)
            else:
                members[index] = made
        if not members:
            return None
        if (reason := obstacle(base, next(iter(members.values())).model)) is not None:
            return reason
        joint = Joint(base, members, device)
        stack.callback(joint.close)
        if device.type == "cpu":
            for model in (joint.model, *(one.model for one in members.values())):
                stack.enter_context(fuse_modules(model))
        if (reason := joint.disagreement()) is not None:
            return reason
        _train(joint, end)
    return None


def _member(request: TrainingRequest, base: Any, device: torch.device, precision: str, limit: int | None) -> Member:
    validate_request(request)
    request.folder.mkdir(parents=True, exist_ok=True)
    return Member(request, base, device, precision, micro_batch_tokens=limit)


def _train(joint: Joint, end: Ended) -> None:
    """Train the runs of a group to their ends."""

    def drop(index: int, result: Trained | Exception) -> None:
        joint.remove(index)
        end(index, result)

    def each(call: Callable[[int, Member], object]) -> None:
        """Call for each run; an error ends its run. If the process was told to end, the other runs are called too."""
        leaving: SystemExit | None = None
        for index, member in list(joint.members.items()):
            try:
                result = _result(partial(call, index, member))
            except SystemExit as error:
                if not member.told_to_end:
                    raise
                leaving = error  # its state is saved
                continue
            if isinstance(result, (Trained, Exception)):
                drop(index, result)
        if leaving is not None:
            raise leaving

    each(lambda _, member: member.start())
    last = time.monotonic()
    while True:
        each(lambda _, member: member.finish() if member.step >= member.num_steps else None)
        members = joint.members
        if not members:
            return
        rows, passes = joint.next_step()
        losses = joint.accumulate(passes)
        now = time.monotonic()
        told_to_end = any(member.request.ending() for member in members.values())
        for member in members.values():
            member.told_to_end = told_to_end
            member.spent += (now - last) / len(members)
            member.together, member.most_together = len(members), max(len(members), member.most_together)
        last = now
        each(lambda index, member: member.advance(rows[index], losses[index]))  # noqa: B023 - called at once


Result = TypeVar("Result")


def _result(call: Callable[[], Result]) -> Result | Exception:
    """The result of a call, or its error. Lack of memory is none of a single run."""
    try:
        return call()
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        return error


def _different(requests: list[TrainingRequest]) -> str | None:
    """Which setting must be the same and is not."""
    for name in ("model", "revision", "device", "num_devices"):
        if len({getattr(one, name) for one in requests}) > 1:
            return f"the runs differ in {name}"
    for name in ("method", "lora", "precision", "packing", "gradient_checkpointing"):
        if len({getattr(one.config, name) for one in requests}) > 1:
            return f"the runs differ in {name}"
    return None
