"""Processes of a run on several devices that take the path of a GPU on a CPU."""

from __future__ import annotations

from collections.abc import Sequence
from multiprocessing.connection import Connection

import varlen_on_cpu  # noqa: F401 - registers kernels

from crosslift.training.trainer import TrainingRequest
from crosslift.training.trainers.native.gpu import blocks, linear_loss, path, varlen
from crosslift.training.trainers.native.sharded import rank


def main(connections: Sequence[Connection], request: TrainingRequest, micro_batch_tokens: int | None) -> None:
    """`rank.main` with attention by the kernel, the loss in chunks of 64 tokens and, if allowed, compiled layers."""
    path.is_for = lambda device: True
    varlen.why_not = lambda asked, device, precision: None
    linear_loss.CHUNK_BYTES = 1
    blocks.BACKEND, blocks.MIN_STEPS = "eager", 1
    rank.main(connections, request, micro_batch_tokens)
