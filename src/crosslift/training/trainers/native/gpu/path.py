"""Which of the parts of this package a run uses, each for a reason that its provenance keeps."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from crosslift.training.packing import MicroBatch
from crosslift.training.trainers.native.attention import SequenceBoundaries, Survey
from crosslift.training.trainers.native.gpu import linear_loss, varlen
from crosslift.training.trainers.native.gpu.blocks import CompiledBlocks, compile_blocks
from crosslift.training.trainers.native.gpu.linear_loss import LossHead
from crosslift.training.trainers.native.gpu.transfers import HostBatch, Prepared, host_batch, prepared_ahead
from crosslift.training.trainers.native.hardware import deterministic
from crosslift.training.trainers.native.loss import LogitSelector, token_losses

log = logging.getLogger(__name__)


def is_for(device: torch.device) -> bool:
    """Whether a device takes this path. All others take that of CPUs."""
    return device.type == "cuda"


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What the choice depends on, besides the model."""

    device: torch.device
    precision: str
    packing: bool
    num_steps: int
    num_devices: int = 1
    may_compile: bool = True
    """Whether the site allows compiled layers."""
    uncompiled: str | None = None
    """Another reason why layers must not be compiled."""


class GPUPath:
    """Forward passes, and transfers, of a run on a GPU."""

    def __init__(self, model: Any, selector: LogitSelector, conditions: Conditions, *, sample: MicroBatch) -> None:
        """Choose the kernels, after each was tried out on the device.

        Where a run is divided among devices, the processes of all of them must do this.

        Args:
            model: the model in training.
            selector: its hook on the head.
            conditions: what the choice depends on.
            sample: a micro-batch to try the model with. Its gradients are empty afterwards.

        Raises:
            TrainingError: on one of several devices, the layers cannot be compiled.
        """
        self._model, self._selector = model, selector
        self._conditions, self._device = conditions, conditions.device
        self._pins = conditions.device.type == "cuda"
        self._dtype = torch.bfloat16 if conditions.precision == "bfloat16" else torch.float32
        asked, unchanged = self._survey(sample)
        self._not_varlen = self._why_not_varlen(asked)
        self._not_together = self._why_not_together(unchanged)
        self._head = None if self._not_together else LossHead(selector.head, self._dtype)
        self._not_repeatable = self._why_not_repeatable(sample)
        self._blocks = self._compiled(sample)

    @property
    def kernels(self) -> dict[str, str]:
        """What the run uses, or why it does not, for its provenance."""
        blocks = self._blocks
        return {
            "attention": f"examples side by side: {self._not_varlen}" if self._not_varlen else "varlen",
            "loss": f"after the head: {self._not_together}" if self._not_together else "with the head, in chunks",
            "layers": f"as written: {blocks}" if isinstance(blocks, str) else blocks.words,
            "gradients": f"may differ in the last bits: {self._not_repeatable}"
            if self._not_repeatable
            else "repeatable",
            "batches": "prepared ahead, in page-locked memory" if self._pins else "prepared ahead",
        }

    def host(self, one: MicroBatch) -> HostBatch:
        """The tensors of a micro-batch, ready to be copied to the device."""
        return host_batch(one, packed=self._conditions.packing, pin=self._pins)

    def on_host(self, array: np.ndarray) -> Tensor:
        """A tensor with the content of an array, ready to be copied to the device."""
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        return tensor.pin_memory() if self._pins else tensor

    def prepared(self, prepare: Callable[[int], Prepared], first: int, end: int) -> Generator[Prepared]:
        """Prepare steps ahead; see `transfers.prepared_ahead`."""
        return prepared_ahead(prepare, first, end)

    def losses(self, one: MicroBatch | HostBatch, shares: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Run the model forwards, without waiting for the device.

        Args:
            one: the micro-batch.
            shares: factor of each token's loss in the sum, float32, (K',), in the memory of the machine; None: 1.

        Returns:
            Weighted sum of the losses in nats, with a gradient; and the loss of each token under the loss mask, (K,).
        """
        batch = one if isinstance(one, HostBatch) else self.host(one)
        ids, positions, predicting, targets = (
            tensor.to(self._device, non_blocking=True)
            for tensor in (batch.ids, batch.positions, batch.predicting_positions, batch.targets)
        )
        if shares is not None:
            shares = shares.to(self._device, non_blocking=True)
        self._selector.positions = predicting
        num_losses = len(batch.cells)
        if self._head is not None:
            self._head.targets, self._head.num_losses, self._head.shares = targets, num_losses, shares
        more = {"boundaries": self._boundaries(batch)} if self._conditions.packing else {}
        logits = self._model(input_ids=ids, position_ids=positions, use_cache=False, **more).logits
        if self._head is not None:
            return self._head.take()
        losses = token_losses(logits, targets)[:num_losses]
        return (losses if shares is None else losses * shares[:num_losses]).sum(), losses

    def backward(self, loss: Tensor) -> None:
        """Accumulate the gradients of a loss, the same ones each time if the device can."""
        with deterministic(strictly=self._not_repeatable is None):
            loss.backward()  # type: ignore[no-untyped-call]

    def _boundaries(self, batch: HostBatch) -> Any:
        if self._not_varlen or batch.starts is None:
            return SequenceBoundaries(batch.lengths, batch.ids.shape[1], self._device)
        return varlen.PackedRow(batch.starts.to(self._device, non_blocking=True), batch.longest)

    def _try_out(self, sample: MicroBatch) -> None:
        total, _ = self.losses(sample)
        self.backward(total)
        self._model.zero_grad(set_to_none=True)

    def _why_not_repeatable(self, sample: MicroBatch) -> str | None:
        """Why the gradients of two equal passes may differ in the last bits; None if they cannot."""
        self._not_repeatable = None
        try:
            self._try_out(sample)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            if "deterministic" not in str(error):
                raise
            self._model.zero_grad(set_to_none=True)
            reason = str(error).splitlines()[0]
            log.warning("gradients may differ in the last bits from one start to the next: %s", reason)
            return reason
        return None

    def _compiled(self, sample: MicroBatch) -> CompiledBlocks | str:
        conditions = self._conditions
        if not conditions.may_compile:
            return "compile = false in site.toml"
        if conditions.uncompiled is not None:
            return conditions.uncompiled
        base = self._model.get_base_model() if hasattr(self._model, "get_base_model") else self._model
        numbers = {"num_steps": conditions.num_steps, "num_devices": conditions.num_devices}
        return compile_blocks(base, lambda: self._try_out(sample), **numbers)

    @torch.no_grad()
    def _survey(self, sample: MicroBatch) -> tuple[set[varlen.Asked], bool]:
        """What the layers ask of attention, and whether the model returns what its head computes, unchanged."""
        made: list[Tensor] = []
        watching = self._selector.head.register_forward_hook(lambda head, inputs, output: made.append(output))
        batch = self.host(sample)
        ids, positions = (tensor.to(self._device) for tensor in (batch.ids, batch.positions))
        self._selector.positions = batch.predicting_positions.to(self._device)
        survey = Survey(sample.lengths, ids.shape[1], self._device)
        more = {"boundaries": survey} if self._conditions.packing else {}
        try:
            logits = self._model(input_ids=ids, position_ids=positions, use_cache=False, **more).logits
        finally:
            watching.remove()
        return survey.asked, len(made) == 1 and logits is made[0]

    def _why_not_varlen(self, asked: set[varlen.Asked]) -> str | None:
        if not self._conditions.packing:
            return "packing = false"
        return varlen.why_not(asked, self._device, self._conditions.precision)

    def _why_not_together(self, unchanged: bool) -> str | None:
        if not unchanged:
            return "the model changes the logits of its head"
        return linear_loss.why_not(self._selector.head, self._device, self._dtype)
