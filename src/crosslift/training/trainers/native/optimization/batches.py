"""The batch of an optimizer step as a device takes it, and the losses that come back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from crosslift.training.packing import MicroBatch
from crosslift.training.trainers.native.gpu.transfers import HostBatch, HostCopy

Part = tuple[HostCopy, np.ndarray]
"""Token losses of a micro-batch in nats, on their way from the device, and their cells."""
HostPart = tuple[np.ndarray, np.ndarray]
"""The same, once they are there."""


@dataclass(frozen=True, kw_only=True)
class StepBatch:
    """The micro-batches of an optimizer step."""

    step: int
    """Number of the step, counted from 0."""
    rows: np.ndarray
    """Indices of its examples."""
    passes: Sequence[tuple[MicroBatch | HostBatch, bool]]
    """Each with whether it counts: all processes of several devices must make the same number of passes."""
    num_losses: int
    """Tokens under the loss mask of the step, on all devices."""
    num_tokens: int
    """Tokens of the step, on all devices, without padding."""


def on_host(parts: list[Part]) -> list[HostPart]:
    """Wait for the losses of a step."""
    return [(losses.numpy(), cells) for losses, cells in parts]


def to_tensor(array: np.ndarray, device: torch.device) -> Tensor:
    """Copy an array to a tensor of the same shape and type on the device."""
    return torch.from_numpy(np.ascontiguousarray(array)).to(device, non_blocking=True)
