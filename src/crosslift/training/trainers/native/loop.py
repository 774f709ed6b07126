"""The training loop of supervised fine-tuning.

`optimization.steps` computes a step; the loop records its losses, reports progress, validates, saves the state, and
writes the selected checkpoint.

A run is a function of its request. Nothing depends on when the process was killed and resumed; losses are therefore
summed step by step in float64. On a GPU losses are read some steps later, so that no step waits for the device.
"""

from __future__ import annotations

import contextlib
import math
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from crosslift.errors import TrainingError
from crosslift.system.files import atomic_write
from crosslift.training.meter import LossMeter, LossSums
from crosslift.training.packing import build_micro_batch
from crosslift.training.requests import validate_request
from crosslift.training.schedule import NUM_LOG_ROWS, learning_rate, validation_steps
from crosslift.training.trainer import Progress, TokenTable, Trained, TrainingRequest
from crosslift.training.trainers.native.best import BestWeights, score_of_candidate, selection_value
from crosslift.training.trainers.native.gpu.transfers import HostCopy
from crosslift.training.trainers.native.hardware import choose_device, choose_precision, numerics
from crosslift.training.trainers.native.model import write_checkpoint
from crosslift.training.trainers.native.optimization.batches import HostPart, Part, on_host
from crosslift.training.trainers.native.optimization.steps import OptimizerSteps
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


class Run(OptimizerSteps):
    """A run on one device.

    `sharded.run.ShardedRun` replaces what differs on several, and `together.joint.Member` what differs where several
    runs are trained together.
    """

    def __init__(
        self, request: TrainingRequest, device: torch.device, precision: str, *, micro_batch_tokens: int | None = None
    ) -> None:
        super().__init__(request, device, precision, micro_batch_tokens=micro_batch_tokens)
        self.validation_steps = validation_steps(self.config, self.num_steps, self.order.steps_per_epoch)
        self.meter = LossMeter(self.examples, num_steps=self.num_steps)
        self.seconds = 0.0
        self.step = 0
        self.together = self.most_together = 1
        """Runs that are trained together, now and at most; see `together`."""
        self.state, self.best = self._storage()
        self._row_every = math.ceil(self.num_steps / NUM_LOG_ROWS)
        self._sync_every = 1 if device.type == "cpu" and self.gpu is None else SYNC_EVERY
        self._pending: list[tuple[int, np.ndarray, list[Part]]] = []

    def _storage(self) -> tuple[Any, Any]:
        """The state of an interrupted run and the weights of the best step."""
        return State(self.request, self.model, self.optimizer), BestWeights(self.request.folder, self.model)

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

    def _now(self) -> float:
        """The time in seconds that the run has taken, from an arbitrary beginning."""
        return time.monotonic()

    def _save(self, step: int) -> None:
        self.state.save(step, self._content())

    def _ending_and_saving(self) -> tuple[bool, bool]:
        """Whether the process was told to end, and whether the state is to be saved now."""
        ending = self.request.ending()
        return ending, ending or self.state.is_due()

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
