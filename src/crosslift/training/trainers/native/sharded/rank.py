"""A process of a run on several devices, started by `launch`. It ends when its worker does."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh

from crosslift.errors import CrossliftError
from crosslift.training.trainer import TrainingRequest
from crosslift.training.trainers.native.hardware import choose_device, choose_precision, numerics
from crosslift.training.trainers.native.sharded.run import ShardedRun

END = "end"
"""The worker was told to end: save the state and end at the next step."""


@dataclass(frozen=True)
class Message:
    """What a process tells its worker."""

    kind: str
    """started, progress, score, done, ended, error or memory."""
    content: Any


def main(connections: Sequence[Connection], request: TrainingRequest, micro_batch_tokens: int | None) -> None:
    """Train on the device with the number that torch's launcher gave to this process.

    Args:
        connections: one per process, to the worker.
        request: the request, without callbacks.
        micro_batch_tokens: as for `loop.train`.
    """
    rank = int(os.environ["RANK"])
    for number, other in enumerate(connections):
        if number != rank:
            other.close()
    worker = connections[rank]
    worker.send(Message("started", os.getpid()))
    heard = _listen(worker)
    try:
        _train(request, micro_batch_tokens, worker, heard)
    except SystemExit:  # told to end, and the state is saved
        worker.send(Message("ended", None))
    except torch.OutOfMemoryError as error:
        _fail(worker, Message("memory", str(error)))
    except CrossliftError as error:
        _fail(worker, Message("error", (type(error).__name__, str(error))))
    except Exception as error:
        _fail(worker, Message("error", ("", f"{type(error).__name__}: {error}")), error)


def _train(
    request: TrainingRequest,
    micro_batch_tokens: int | None,
    worker: Connection,
    heard: tuple[queue.SimpleQueue[Any], set[str]],
) -> None:
    answers, told = heard
    first = choose_device(request.device)
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if first.type == "cuda" else first
    if device.type == "cuda":
        torch.cuda.set_device(device)
    precision = choose_precision(request.config.precision, device, weights=request.config.weight_precision)
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    try:
        mesh = init_device_mesh(device.type, (dist.get_world_size(),))

        def score(folder: Path) -> float:
            worker.send(Message("score", folder))
            return float(answers.get())

        def report(progress: Any) -> None:
            if dist.get_rank() == 0:
                worker.send(Message("progress", progress))

        request = replace(request, report=report, score=score, ending=lambda: END in told)
        with numerics(device, precision, retain=False):
            run = ShardedRun(request, device, precision, mesh, micro_batch_tokens=micro_batch_tokens)
            trained = run.train()
        if dist.get_rank() == 0:
            worker.send(Message("done", replace(trained, num_devices=dist.get_world_size())))
    finally:
        if dist.is_initialized() and not torch.cuda.is_available():
            dist.destroy_process_group()


def _listen(worker: Connection) -> tuple[queue.SimpleQueue[Any], set[str]]:
    """Receive what the worker says in a thread, and end this process when the worker ends.

    Returns:
        The answers to questions, and a set that contains END once the worker was told to end.
    """
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
    told: set[str] = set()

    def receive() -> None:
        try:
            while True:
                said = worker.recv()
                if said == END:
                    told.add(END)
                else:
                    answers.put(said)
        except (EOFError, OSError):
            os._exit(1)  # the others wait in a collective operation that cannot be interrupted

    threading.Thread(target=receive, daemon=True).start()
    return answers, told


def _fail(worker: Connection, message: Message, error: Exception | None = None) -> None:
    """Tell the worker and end at once: a process that waited for the others would never end."""
    if error is not None:
        import traceback

        traceback.print_exception(error)
    worker.send(message)
    os._exit(1)
