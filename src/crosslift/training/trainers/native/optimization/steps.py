"""The optimizer steps of a run on one device: batches, losses, gradients and updates of the weights.

A step takes its batch (see `order`), divides it into micro-batches that fit into memory, accumulates their gradients
and updates the weights. The loss of a step is the mean over all tokens under the loss mask, across micro-batches: a
mean of the means of micro-batches would give more weight to tokens of short completions, and less to languages with
long ones.

The batch of a step and all its random numbers follow from the seed and the step number. On a GPU batches are prepared
ahead, so that no step waits for the device (`gpu`).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from crosslift.streams import seed_of
from crosslift.training.order import BatchSampler, micro_batches
from crosslift.training.packing import MicroBatch, build_micro_batch, num_loss_tokens
from crosslift.training.requests import truncate_examples
from crosslift.training.trainer import TokenTable, TrainingRequest, num_steps
from crosslift.training.trainers.native.attention import SequenceBoundaries
from crosslift.training.trainers.native.gpu import path
from crosslift.training.trainers.native.gpu.transfers import HostBatch, HostCopy
from crosslift.training.trainers.native.loss import LogitSelector, token_losses
from crosslift.training.trainers.native.model import load_model, read_tokenizer, stored_dtype
from crosslift.training.trainers.native.optimization import optimizer
from crosslift.training.trainers.native.optimization.batches import Part, StepBatch, to_tensor


class OptimizerSteps:
    """Model, examples and optimizer of a run, and the computation of its steps."""

    def __init__(
        self, request: TrainingRequest, device: torch.device, precision: str, *, micro_batch_tokens: int | None = None
    ) -> None:
        self.request = request
        self.reduced_to = micro_batch_tokens
        self.config = request.config
        self.device = device
        self.precision = precision
        self.examples = truncate_examples(request.examples, request.config)
        self.validation = None if request.validation is None else truncate_examples(request.validation, request.config)
        self.num_steps = num_steps(len(self.examples), self.config, num_tokens=int(self.examples.offsets[-1]))
        self.order = BatchSampler(
            self.examples.lengths, self.config, seed=request.seed, shuffle=request.shuffle, stages=request.stages
        )
        self.num_tokens = 0

        # Load the tokenizer before the model, so that a missing template is reported before training, not after it.
        self.tokenizer = read_tokenizer(request)
        self.dtype = stored_dtype(request)
        self.model = self._load()
        self.head = LogitSelector(self.model)
        self.weights = [weight for weight in self.model.parameters() if weight.requires_grad]
        self.optimizer = optimizer.build_optimizer(self.model, self.config, seed=request.seed)
        self.gpu = self._gpu_path() if path.is_for(device) else None

    def _load(self) -> Any:
        return load_model(self.request, self.device)

    def _gpu_path(self) -> path.GPUPath | None:
        conditions = path.Conditions(
            device=self.device,
            precision=self.precision,
            packing=self.config.packing,
            num_steps=self.num_steps,
            num_devices=self.request.num_devices,
            may_compile=self.request.compile,
        )
        return path.GPUPath(
            self.model, self.head, conditions, sample=self._micro_batch(np.arange(min(2, len(self.examples))))
        )

    @property
    def micro_batch_tokens(self) -> int:
        """Upper bound of tokens in one forward pass."""
        return self.reduced_to or self.config.micro_batch_tokens

    def _batches(self, first: int) -> Generator[StepBatch]:
        """The batches from this step on."""
        if self.gpu is not None:
            return self.gpu.prepared(self._batch, first, self.num_steps)
        return (self._batch(step) for step in range(first, self.num_steps))

    def _batch(self, step: int) -> StepBatch:
        """The batch of a step. On a GPU a thread calls this."""
        rows = self.order.batch(step)
        passes = self._passes(rows)
        pinned = None if self.gpu is None else [(self.gpu.host(one), counts) for one, counts in passes]
        return StepBatch(
            step=step,
            rows=rows,
            passes=passes if pinned is None else pinned,
            num_losses=num_loss_tokens(self.examples, rows, loss_on_prompt=self.config.loss_on == "all"),
            num_tokens=int(self.examples.lengths[rows].sum()),
        )

    def _passes(self, rows: np.ndarray) -> Sequence[tuple[MicroBatch, bool]]:
        return [(self._micro_batch(part), True) for part in self._parts(rows, self.examples)]

    def _parts(self, rows: np.ndarray, table: TokenTable) -> Iterator[np.ndarray]:
        padded = not self.config.packing
        return micro_batches(rows, table.lengths, max_tokens=self.micro_batch_tokens, padded=padded)

    def _micro_batch(self, part: np.ndarray) -> MicroBatch:
        on_all = self.config.loss_on == "all"
        return build_micro_batch(self.examples, part, packed=self.config.packing, loss_on_prompt=on_all)

    def _step(self, batch: StepBatch, rate: float) -> list[Part]:
        """Run one optimizer step; returns the token losses in nats and the cells of each micro-batch."""
        self._seed_dropout(batch.step)
        losses = self._accumulate(batch)
        self._update(rate)
        return losses

    def _seed_dropout(self, step: int) -> None:
        seed = seed_of(self.request.seed, "step", step)
        # Not torch.manual_seed: without a GPU it queues a deferred CUDA call in every step.
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def _accumulate(self, batch: StepBatch) -> list[Part]:
        """Accumulate the gradients of a step's micro-batches."""
        losses = []
        for one, counts in batch.passes:
            total, each = self._losses(one)
            if counts:
                self._backward(total / batch.num_losses)
                losses.append((HostCopy(each.detach()), one.cells))
            else:
                self._backward(total * 0.0)
        self.num_tokens += batch.num_tokens
        return losses

    def _losses(self, one: MicroBatch | HostBatch) -> tuple[Tensor, Tensor]:
        """Sum of the losses, with a gradient; and the loss of each token under the loss mask, in nats, (K,)."""
        if self.gpu is not None:
            return self.gpu.losses(one)
        assert isinstance(one, MicroBatch)
        losses = losses_of(self.model, self.head, one, self.device, packed=self.config.packing)
        return losses.sum(), losses

    def _backward(self, loss: Tensor) -> None:
        if self.gpu is not None:
            self.gpu.backward(loss)
        else:
            loss.backward()  # type: ignore[no-untyped-call]

    def _update(self, rate: float) -> None:
        optimizer.update(self.optimizer, self.weights, rate=rate, max_grad_norm=self.config.max_grad_norm)


def losses_of(model: Any, head: LogitSelector, one: MicroBatch, device: torch.device, *, packed: bool) -> Tensor:
    """Loss of each token of a micro-batch under the loss mask.

    Args:
        model: the model.
        head: the selector of its head.
        one: the micro-batch.
        device: where it is computed.
        packed: whether the micro-batch is packed.

    Returns:
        Losses in nats, (K,).
    """
    ids, positions, predicting_positions, targets = (
        to_tensor(array, device) for array in (one.ids, one.positions, one.predicting_positions, one.targets)
    )
    boundaries = {"boundaries": SequenceBoundaries(one.lengths, ids.shape[1], device)} if packed else {}
    head.positions = predicting_positions
    logits = model(input_ids=ids, position_ids=positions, use_cache=False, **boundaries).logits
    return token_losses(logits, targets)[: len(one.cells)]
