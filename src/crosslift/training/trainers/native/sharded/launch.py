"""Starts a run on several devices with torch's elastic launcher and follows it. This is the side of the worker.

The worker holds the lease of the run; the processes are its children and talk to it over pipes. When the worker ends,
its ends of the pipes close and the processes end, however it was killed. When one process fails, the launcher ends the
others, and the worker raises what it said.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import re
import secrets
import signal
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from operator import itemgetter
from typing import Any

import torch
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from crosslift import errors
from crosslift.errors import CrossliftError, TrainingError
from crosslift.system.processes import is_running, process_start_ticks
from crosslift.training.requests import validate_request
from crosslift.training.trainer import Trained, TrainingRequest
from crosslift.training.trainers.native.hardware import choose_device
from crosslift.training.trainers.native.sharded.rank import END, Message, main

START_METHODS = {"cpu": "forkserver", "cuda": "spawn"}
"""How processes start. A server that has imported the libraries is forked for each process on CPUs; a fork of a process
that has used a GPU cannot use it."""
PRELOADED = ["crosslift.training.trainers.native.sharded.rank", "peft", "transformers"]
POLL_SECONDS = 0.2
LOST = re.compile(r"(closed|reset) by peer|remote process exited", re.IGNORECASE)
"""What gloo and NCCL say in a process whose counterpart has died."""
DEATH_SECONDS = 2.0
"""Time in seconds in which that counterpart is gone."""


def train_on_devices(request: TrainingRequest, *, micro_batch_tokens: int | None = None) -> Trained:
    """Train on `request.num_devices` devices of this machine.

    Args:
        request: the request of the run.
        micro_batch_tokens: as for `loop.train`.

    Raises:
        TrainingError: as for `loop.train`; or a process ended without a message.
        torch.OutOfMemoryError: a device has too little memory.
        SystemExit: the process was told to end, and the state is saved.
    """
    request = validate_request(request)
    number = request.num_devices
    device = choose_device(request.device).type
    if device == "cuda" and torch.cuda.device_count() < number:
        raise TrainingError(
            f"the run is to share {number} devices, but this process sees {torch.cuda.device_count()}. Lower "
            "devices under [resources] in site.toml, or start the worker on more devices."
        )
    request.folder.mkdir(parents=True, exist_ok=True)
    multiprocessing.set_forkserver_preload(PRELOADED)
    ours, theirs = zip(*(multiprocessing.Pipe() for _ in range(number)), strict=True)
    sent = replace(request, report=_unused, score=None, ending=_never)
    with tempfile.TemporaryDirectory() as logs:
        launched = _Launched(number, START_METHODS.get(device, "spawn"), logs, (theirs, sent, micro_batch_tokens))
        try:
            return _follow(launched, ours, request)
        finally:
            launched.end(ours)
            for one in theirs:
                one.close()


def _unused(progress: Any) -> None:
    """Stands for the callback of the request, which stays in the worker."""


def _never() -> bool:
    return False


class _Launched:
    """torch's launcher in a thread of its own, because it blocks until all processes have ended."""

    def __init__(self, number: int, start_method: str, logs: str, arguments: tuple[Any, ...]) -> None:
        self.number = number
        self.failure: Exception | None = None
        self.processes: dict[int, tuple[int, str]] = {}
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=number,
            run_id=secrets.token_hex(8),
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="localhost",
            max_restarts=0,
            start_method=start_method,
            logs_specs=DefaultLogsSpecs(log_dir=logs),
            shutdown_timeout=1,
        )
        self._thread = threading.Thread(target=self._run, args=(config, arguments))
        self._thread.start()

    def _run(self, config: LaunchConfig, arguments: tuple[Any, ...]) -> None:
        try:
            with _quiet_launcher():
                elastic_launch(config, main)(*arguments)
        except Exception as error:  # raised in the worker's thread
            self.failure = error

    def alive(self) -> bool:
        """Whether processes may still be running."""
        return self._thread.is_alive()

    def end(self, connections: Sequence[Connection]) -> None:
        """End all processes, which also end by themselves when their pipe closes."""
        for connection in connections:
            connection.close()
        if self._thread.is_alive():
            for pid, started in self.processes.values():
                if is_running(pid, started):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
        self._thread.join()


@dataclass
class _Heard:
    """What the processes of a run have said."""

    trained: Trained | None = None
    ended: bool = False
    failed: dict[int, Message] = field(default_factory=dict)
    silent: list[int] = field(default_factory=list)
    """Processes that were dead, without a message, when the first failure of another one was heard."""


def _follow(launched: _Launched, connections: Sequence[Connection], request: TrainingRequest) -> Trained:
    """Pass on the progress of the first process and answer its questions until all have ended."""
    heard, told = _Heard(), False
    open_ = {connection: rank for rank, connection in enumerate(connections)}
    while launched.alive() or any(one.poll() for one in open_):
        if not told and request.ending():
            told = True
            with contextlib.suppress(OSError):
                connections[0].send(END)
        ready: Any = wait(list(open_), timeout=POLL_SECONDS)
        for connection in ready:
            try:
                message = connection.recv()
            except (EOFError, OSError):
                del open_[connection]
            else:
                _hear(message, open_[connection], connection, launched, heard, request)
        if not open_:
            time.sleep(POLL_SECONDS)
    return _result(launched, heard)


def _hear(  # noqa: PLR0917 - all of it is the state of one loop
    message: Message,
    rank: int,
    connection: Connection,
    launched: _Launched,
    heard: _Heard,
    request: TrainingRequest,
) -> None:
    if message.kind == "started":
        launched.processes[rank] = (message.content, process_start_ticks(message.content))
    elif message.kind == "progress":
        request.report(message.content)
    elif message.kind == "score":
        assert request.score is not None
        connection.send(request.score(message.content))
    elif message.kind == "done":
        heard.trained = message.content
    elif message.kind == "ended":
        heard.ended = True
    else:
        if not heard.failed:
            heard.silent = _dead(launched, rank, message)
        heard.failed[rank] = message


def _dead(launched: _Launched, rank: int, message: Message) -> list[int]:
    """Return the processes that are dead, other than one that failed.

    If that one only lost a connection, the process at the other end may still be about to die: its connections are
    closed before its memory is freed.
    """
    end = time.monotonic() + (DEATH_SECONDS if LOST.search(str(message.content)) else 0.0)
    while True:
        running = {other: is_running(pid, start) for other, (pid, start) in launched.processes.items() if other != rank}
        dead = [other for other, is_there in running.items() if not is_there]
        if dead or time.monotonic() >= end:
            return dead
        time.sleep(0.01)


def _result(launched: _Launched, heard: _Heard) -> Trained:
    known = {rank: one for rank, one in heard.failed.items() if one.kind == "memory" or one.content[0]}
    if known:
        raise _as_error(*min(known.items(), key=itemgetter(0)), launched.number)
    if heard.ended:
        raise SystemExit(128 + signal.SIGTERM)
    killed = _killed(launched.failure) or next(((rank, None) for rank in heard.silent), None)
    if killed is None and heard.failed:  # otherwise the others only lost their connection to the killed one
        raise _as_error(*min(heard.failed.items(), key=itemgetter(0)), launched.number)
    if launched.failure is not None or heard.trained is None:
        raise _ended_silently(launched, killed) from launched.failure
    return heard.trained


def _as_error(rank: int, message: Message, number: int) -> Exception:
    if message.kind == "memory":
        return torch.OutOfMemoryError(f"device {rank + 1} of {number}: {message.content}")
    name, text = message.content
    kind = getattr(errors, name, None) if name else None
    if isinstance(kind, type) and issubclass(kind, CrossliftError):
        return kind(text)
    return TrainingError(f"the process of device {rank + 1} of {number} failed: {text}")


def _killed(failure: Exception | None) -> tuple[int, int | None] | None:
    """Rank and signal of a process that was killed, other than by the launcher, which ends the others by SIGTERM.

    The launcher names one process only, and not always the first to die.
    """
    if not isinstance(failure, ChildFailedError):
        return None
    codes = {rank: -one.exitcode for rank, one in failure.failures.items() if one.exitcode < 0}
    return next(((rank, code) for rank, code in codes.items() if code != signal.SIGTERM), None)


def _ended_silently(launched: _Launched, killed: tuple[int, int | None] | None) -> TrainingError:
    what = "a process of the run ended without a message"
    failure = launched.failure
    if killed is not None:
        rank, number = killed
        by = "" if number is None else f" (signal {signal.Signals(number).name})"
        what = f"the process of device {rank + 1} of {launched.number} ended without a message{by}"
    elif failure is not None and not isinstance(failure, ChildFailedError):
        what = f"the processes of the run could not be started: {failure}"
    return TrainingError(
        f"{what}. If it was killed for memory, lower micro_batch_tokens, set gradient_checkpointing = true, or raise "
        "devices under [resources] in site.toml; log.txt contains its output. crosslift run continues from the last "
        "state."
    )


@contextlib.contextmanager
def _quiet_launcher() -> Iterator[None]:
    """Keep the launcher's account of a failure, which the worker reports in its own words, out of the log."""
    loggers = [logging.getLogger(name) for name in ("torch.distributed.elastic", "torchelastic-events-null")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
