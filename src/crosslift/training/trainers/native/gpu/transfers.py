"""Transfers between the machine and a GPU that neither side waits for.

A thread builds the micro-batches of the next steps while the GPU computes, in page-locked memory, from which a copy
does not wait. The copies go through the stream that computes: they take microseconds, and a stream of their own would
have to be waited for. Losses return the same way, and are read when their step is over.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from crosslift.training.packing import MicroBatch
from crosslift.training.trainers.native.gpu.varlen import boundaries_of

DEPTH = 2
"""Steps that are prepared ahead of the one that is being launched."""

Prepared = TypeVar("Prepared")


@dataclass(frozen=True, kw_only=True)
class HostBatch:
    """The tensors of a micro-batch in the memory of the machine; those of `packing.MicroBatch` with boundaries."""

    ids: Tensor
    positions: Tensor
    predicting_positions: Tensor
    targets: Tensor
    starts: Tensor | None
    """As in `varlen.PackedRow`; None if the examples are padded."""
    longest: int
    lengths: np.ndarray
    cells: np.ndarray
    num_tokens: int


def host_batch(one: MicroBatch, *, packed: bool, pin: bool) -> HostBatch:
    """The tensors of a micro-batch.

    Args:
        one: the micro-batch.
        packed: whether its examples are packed.
        pin: whether to put the tensors into page-locked memory.
    """
    starts, longest = boundaries_of(one.lengths, one.ids.shape[1]) if packed else (None, 0)

    def tensor(array: np.ndarray) -> Tensor:
        whole = torch.from_numpy(np.ascontiguousarray(array))
        return whole.pin_memory() if pin else whole

    return HostBatch(
        ids=tensor(one.ids),
        positions=tensor(one.positions),
        predicting_positions=tensor(one.predicting_positions),
        targets=tensor(one.targets),
        starts=None if starts is None else tensor(starts),
        longest=longest,
        lengths=one.lengths,
        cells=one.cells,
        num_tokens=one.num_tokens,
    )


class HostCopy:
    """A tensor on its way to the machine."""

    def __init__(self, tensor: Tensor) -> None:
        """Begin the copy; the tensor may be overwritten by what is launched afterwards.

        Args:
            tensor: a tensor on any device.
        """
        on_gpu = tensor.device.type == "cuda"
        self._copy = tensor.to("cpu", non_blocking=True) if on_gpu else tensor  # torch makes the target page-locked
        self._arrived = torch.cuda.Event() if on_gpu else None  # type: ignore[no-untyped-call]
        if self._arrived is not None:
            self._arrived.record()

    def numpy(self) -> np.ndarray:
        """Wait for the copy, and return its values."""
        if self._arrived is not None:
            self._arrived.synchronize()
        array: np.ndarray = self._copy.cpu().numpy()
        return array


def prepared_ahead(prepare: Callable[[int], Prepared], first: int, end: int) -> Generator[Prepared]:
    """Prepare steps in a thread, at most `DEPTH` ahead.

    Args:
        prepare: prepares the step with this number.
        first: number of the first step.
        end: number after that of the last step.

    Yields:
        The prepared steps, in order. What the thread raises is raised here.
    """
    ready: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(maxsize=DEPTH)
    stopped = threading.Event()

    def put(content: tuple[Any, BaseException | None]) -> None:
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                ready.put(content, timeout=0.5)
                return

    def work() -> None:
        try:
            for step in range(first, end):
                if stopped.is_set():
                    return
                put((prepare(step), None))
        except BaseException as error:
            put((None, error))

    thread = threading.Thread(target=work, name="batches", daemon=True)
    thread.start()
    try:
        for _ in range(first, end):
            content, error = ready.get()
            if error is not None:
                raise error
            yield content
    finally:
        stopped.set()
        thread.join()
