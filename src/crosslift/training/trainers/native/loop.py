"""The training loop of supervised fine-tuning.

An optimizer step takes its batch (see `order`), divides it into micro-batches that fit into memory, accumulates their
gradients and updates the weights. The loss of a step is the mean over all tokens under the loss mask, across
micro-batches: a mean of the means of micro-batches would give more weight to tokens of short completions, and less to
languages with long ones.

A run is a function of its request. The batch of a step and all its random numbers follow from the seed and the step
number. Nothing depends on when the process was killed and resumed; losses are therefore summed step by step in float64.

On a GPU no step waits for the device: batches are prepared ahead, and losses are read some steps later (`gpu`).
"""

from __future__ import annotations

import contextlib
import math
import signal
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from crosslift.errors import TrainingError
from crosslift.streams import seed_of
from crosslift.system.files import atomic_write
from crosslift.training.meter import LossMeter, LossSums
from crosslift.training.order import BatchSampler, micro_batches
from crosslift.training.packing import MicroBatch, build_micro_batch, num_loss_tokens
from crosslift.training.requests import truncate_examples, validate_request
from crosslift.training.schedule import NUM_LOG_ROWS, learning_rate, validation_steps
from crosslift.training.trainer import Progress, TokenTable, Trained, TrainingRequest, num_steps
from crosslift.training.trainers.native.attention import SequenceBoundaries
from crosslift.training.trainers.native.batches import HostPart, Part, StepBatch, on_host, to_tensor
from crosslift.training.trainers.native.best import BestWeights, score_of_candidate, selection_value
from crosslift.training.trainers.native.gpu import path
from crosslift.training.trainers.native.gpu.transfers import HostBatch, HostCopy
from crosslift.training.trainers.native.hardware import choose_device, choose_precision, numerics
from crosslift.training.trainers.native.loss import LogitSelector, token_losses
from crosslift.training.trainers.native.model import load_model, read_tokenizer, stored_dtype, write_checkpoint
from crosslift.training.trainers.native.optimizer.adamw import build_optimizer, update
from crosslift.training.trainers.native.passes import fuse_modules
from crosslift.training.trainers.native.state import State


def train(request: TrainingRequest, *, micro_batch_tokens: int | None = None) -> Trained:
    """Train on one device, and write `folder/checkpoint/` and `folder/metrics.parquet`.

    Args:
        request: the request of the run.
        micro_batch_tokens: bound that replaces the one of the configuration, after the device ran out of memory.

    Raises:
        TrainingError: the request is invalid, the model cannot be loaded, or training diverged.
        TemplateError: the tokenizer has no usable chat template.
        torch.OutOfMemoryError: the device has too little memory.
    """
    request = validate_request(request)
    device = choose_device(request.device)
    precision = choose_precision(request.config.precision, device, weights=request.config.weight_precision)
    request.folder.mkdir(parents=True, exist_ok=True)
    with numerics(device, precision):
        run = Run(request, device, precision, micro_batch_tokens=micro_batch_tokens)
        with fuse_modules(run.model) if device.type == "cpu" else contextlib.nullcontext():
            return run.train()


SYNC_EVERY = 16
"""Steps after which losses are read from a GPU."""


class Run:
    """A run on one device.

    `sharded.run.ShardedRun` replaces what differs on several, and `together.joint.Member` what differs where several
    runs are trained together.
    """

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
        self.validation_steps = validation_steps(self.config, self.num_steps, self.order.steps_per_epoch)
        self.meter = LossMeter(self.examples, num_steps=self.num_steps)
        self.num_tokens = 0
        self.seconds = 0.0
        self.step = 0
        self.together = self.most_together = 1
        """Runs that are trained together, now and at most; see `together`."""
        self._row_every = math.ceil(self.num_steps / NUM_LOG_ROWS)
        self._pending: list[tuple[int, np.ndarray, list[Part]]] = []

        # Load the tokenizer before the model, so that a missing template is reported before training, not after it.
        self.tokenizer = read_tokenizer(request)
        self.dtype = stored_dtype(request)
        self.model = self._load()
        self.head = LogitSelector(self.model)
        self.weights = [weight for weight in self.model.parameters() if weight.requires_grad]
        self.optimizer = build_optimizer(self.model, self.config, seed=request.seed)
        self.state, self.best = self._storage()
        self.gpu = self._gpu_path() if path.is_for(device) else None
        self._sync_every = 1 if device.type == "cpu" and self.gpu is None else SYNC_EVERY

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

    def _load(self) -> Any:
        return load_model(self.request, self.device)

    def _storage(self) -> tuple[Any, Any]:
        """The state of an interrupted run and the weights of the best step."""
        return State(self.request, self.model, self.optimizer), BestWeights(self.request.folder, self.model)

    @property
    def micro_batch_tokens(self) -> int:
        """Upper bound of tokens in one forward pass."""
        return self.reduced_to or self.config.micro_batch_tokens

    def train(self) -> Trained:
        """Train from the last saved state to the end."""
        self.start()
        with contextlib.closing(self._batches(self.step)) as batches:
            for batch in batches:
                self.complete_step(batch.rows, self._step(batch, self.rate))
        return self.finish()

    def start(self) -> None:
        """Restore the last saved state, if there is one."""
        self.step = self._resume()
        self._resumed_at = self.step or None
        self._started, self._seconds_before = self._now(), self.seconds
        self._tokens_at_start = self.num_tokens

    def complete_step(self, rows: np.ndarray, losses: list[Part]) -> None:
        """Record, report, validate and save where it is due, after the weights were updated.

        Args:
            rows: indices of the step's examples.
            losses: token losses of their micro-batches.

        Raises:
            TrainingError: training diverged.
            SystemExit: the process was told to end, and the state is saved.
        """
        rate = self.rate
        self._pending.append((self.step, rows, losses))
        self.step += 1
        step = self.step
        ending, saving = self._ending_and_saving()
        at_row = step % self._row_every == 0 or step in self.validation_steps or step == self.num_steps
        columns = {"step": step, "epoch": step / self.order.steps_per_epoch, "learning_rate": rate}
        if at_row or saving or len(self._pending) >= self._sync_every:
            newest = [] if at_row or saving or self._sync_every == 1 else [self._pending.pop()]  # the GPU keeps working
            loss = self._read(self._pending)
            self._pending += newest
            now = self._now() - self._started
            self.seconds = self._seconds_before + now
            speed = (self.num_tokens - self._tokens_at_start) / now
            if at_row:
                self.meter.close_window(**columns)
            self.request.report(
                Progress(
                    step=step,
                    num_steps=self.num_steps,
                    loss=loss,
                    tokens_per_second=speed,
                    curve=self.meter.curve,
                    together=self.together,
                )
            )
        if step in self.validation_steps:
            self._validate(columns)
        if saving:
            self._save(step)
        if ending and step < self.num_steps:
            raise SystemExit(128 + signal.SIGTERM)  # the state is saved

    @property
    def rate(self) -> float:
        """Learning rate of the present step."""
        return learning_rate(self.step, self.num_steps, self.config)

    def finish(self) -> Trained:
        """Write the selected checkpoint and the metrics, and remove the state."""
        self._finish()
        return Trained(
            num_steps=self.num_steps,
            selected_step=self.best.step or self.num_steps,
            num_tokens=self.num_tokens,
            seconds=self._seconds_before + self._now() - self._started,
            precision=self.precision,
            device=str(self.device),
            resumed_at=self._resumed_at,
            micro_batch_tokens=self.reduced_to,
            trained_together=self.most_together,
            kernels=self.gpu.kernels if self.gpu is not None else {},
        )

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

    def _now(self) -> float:
        """The time in seconds that the run has taken, from an arbitrary beginning."""
        return time.monotonic()

    def _save(self, step: int) -> None:
        self.state.save(step, self._content())

    def _ending_and_saving(self) -> tuple[bool, bool]:
        """Whether the process was told to end, and whether the state is to be saved now."""
        ending = self.request.ending()
        return ending, ending or self.state.is_due()

    def _step(self, batch: StepBatch, rate: float) -> list[Part]:
        """Run one optimizer step; returns the token losses in nats and the cells of each micro-batch."""
        self._seed_dropout(batch.step)
        losses = self._accumulate(batch)
        self._update(rate)
        return losses

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

    def _backward(self, loss: Tensor) -> None:
        if self.gpu is not None:
            self.gpu.backward(loss)
        else:
            loss.backward()  # type: ignore[no-untyped-call]

    def _parts(self, rows: np.ndarray, table: TokenTable) -> Iterator[np.ndarray]:
        padded = not self.config.packing
        return micro_batches(rows, table.lengths, max_tokens=self.micro_batch_tokens, padded=padded)

    def _micro_batch(self, part: np.ndarray) -> MicroBatch:
        on_all = self.config.loss_on == "all"
        return build_micro_batch(self.examples, part, packed=self.config.packing, loss_on_prompt=on_all)

    def _update(self, rate: float) -> None:
        update(self.optimizer, self.weights, rate=rate, max_grad_norm=self.config.max_grad_norm)

    def _seed_dropout(self, step: int) -> None:
        seed = seed_of(self.request.seed, "step", step)
        # Not torch.manual_seed: without a GPU it queues a deferred CUDA call in every step.
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def _losses(self, one: MicroBatch | HostBatch) -> tuple[Tensor, Tensor]:
        """Sum of the losses, with a gradient; and the loss of each token under the loss mask, in nats, (K,)."""
        if self.gpu is not None:
            return self.gpu.losses(one)
        assert isinstance(one, MicroBatch)
        losses = losses_of(self.model, self.head, one, self.device, packed=self.config.packing)
        return losses.sum(), losses

    def _read(self, pending: list[tuple[int, np.ndarray, list[Part]]]) -> float:
        """Read the losses of the pending steps from the device into the meter; returns the last step's mean loss."""
        loss = math.nan
        read = self._on_all_devices([on_host(parts) for _, _, parts in pending])
        for (step, rows, _), parts in zip(pending, read, strict=True):
            loss = self.meter.add_step(step, parts, rows)
        pending.clear()
        return loss

    def _on_all_devices(self, read: list[list[HostPart]]) -> list[list[HostPart]]:
        """The losses of each step on all devices, from those on this device."""
        return read

    def _validate(self, columns: dict[str, Any]) -> None:
        sums = None if self.validation is None else self._validation_sums(self.validation)
        score = self._score()
        if sums is not None:
            self.meter.rows += sums.rows(split="validation", score=score, **columns)
        if self.config.select_by != "last":
            self.best.consider(selection_value(self.examples, sums, score), columns["step"])

    def _score(self) -> float | None:
        return score_of_candidate(self.request, self._write)

    @torch.no_grad()
    def _validation_sums(self, table: TokenTable) -> LossSums:
        self.model.eval()
        sums = LossSums(table)
        losses: list[Part] = []
        for part in self._parts(np.arange(len(table)), table):
            one = build_micro_batch(table, part, packed=self.config.packing)
            losses.append((HostCopy(self._losses(one)[1]), one.cells))
            sums.add_bytes(table, part)
        for each, cells in losses:
            sums.add_losses(each.numpy(), cells)
        self.model.train()
        return sums

    def _content(self) -> dict[str, Any]:
        return {
            "meter": self.meter.state(),
            "best": self.best.state(),
            "num_tokens": self.num_tokens,
            "seconds": self.seconds,
            **({} if self.reduced_to is None else {"micro_batch_tokens": self.reduced_to}),
            **({} if self.most_together == 1 else {"trained_together": self.most_together}),
        }

    def _resume(self) -> int:
        """Restore the last saved state, if there is one; returns the number of completed steps."""
        found = self.state.restore()
        if found is None:
            return 0
        step: int = found[0]
        content: dict[str, Any] = found[1]
        self.meter.restore(content["meter"])
        self.best.restore_state(content["best"])
        self.num_tokens, self.seconds = content["num_tokens"], content["seconds"]
        if (reduced := content.get("micro_batch_tokens")) is not None:  # before the interruption
            self.reduced_to = min(reduced, self.micro_batch_tokens)
        self.most_together = max(content.get("trained_together", 1), self.most_together)
        return step

    def _write(self, folder: Path) -> None:
        write_checkpoint(self.model, self.tokenizer, folder, self.request, self.dtype)

    def _finish(self) -> None:
        if self.best.step not in (None, self.num_steps):
            try:
                self.best.load(self.device)
            except TrainingError:
                self.state.remove()  # nothing is left to resume from, so the next start trains from the beginning
                raise
        self._write(self.request.folder / "checkpoint")
        self._write_metrics()
        self.state.remove()
        self.best.remove()

    def _write_metrics(self) -> None:
        with atomic_write(self.request.folder / "metrics.parquet") as temporary:
            self.meter.frame().write_parquet(temporary)


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
