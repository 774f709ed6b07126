"""The training loop on one of several devices.

Every process computes the same batches from the seed. It takes its share of a step's examples, and divides its loss by
the tokens of the whole step, so that the sum of the gradients over the devices is the gradient of the step. All
processes must take part in every forward and backward pass; one that has no examples left passes one with weight 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh

from crosslift.streams import seed_of
from crosslift.training.meter import LossSums
from crosslift.training.order import shares
from crosslift.training.packing import MicroBatch, build_micro_batch
from crosslift.training.trainer import TokenTable, TrainingRequest
from crosslift.training.trainers.native.best import score_of_candidate
from crosslift.training.trainers.native.loop import Run
from crosslift.training.trainers.native.model import replaced_folder, write_adapter
from crosslift.training.trainers.native.optimization.batches import HostPart
from crosslift.training.trainers.native.sharded.model import Sharded, load_sharded, whole_tensors, write_full_weights
from crosslift.training.trainers.native.sharded.state import ShardedBest, ShardedState, from_first


class ShardedRun(Run):
    """A run on one of the devices of a mesh."""

    def __init__(
        self,
        request: TrainingRequest,
        device: torch.device,
        precision: str,
        mesh: DeviceMesh,
        *,
        micro_batch_tokens: int | None = None,
    ) -> None:
        self.mesh = mesh
        self.rank, self.num_devices = dist.get_rank(), dist.get_world_size()
        self.sharded: Sharded
        super().__init__(request, device, precision, micro_batch_tokens=micro_batch_tokens)

    def _load(self) -> Any:
        self.sharded = load_sharded(self.request, self.mesh, self.device, self.precision)
        return self.sharded.model

    def _storage(self) -> tuple[Any, Any]:
        state = ShardedState(self.request, self.model, self.optimizer)
        return state, ShardedBest(self.request.folder, self.model)

    def _seed_dropout(self, step: int) -> None:
        super()._seed_dropout(step)
        if self.rank:  # masks of dropout differ between devices, and from those of one device
            seed = seed_of(self.request.seed, "step", step, "device", self.rank)
            torch.default_generator.manual_seed(seed)
            if self.device.type == "cuda":
                torch.cuda.manual_seed(seed)

    def _parts_of_devices(self, rows: np.ndarray, table: TokenTable) -> tuple[list[np.ndarray], int]:
        """The micro-batches of this device, and the largest number of them on any device."""
        of_devices = [
            list(self._parts(share, table)) if len(share) else []
            for share in shares(rows, table.lengths, self.num_devices)
        ]
        return of_devices[self.rank], max(map(len, of_devices))

    def _passes(self, rows: np.ndarray) -> Sequence[tuple[MicroBatch, bool]]:
        parts, number = self._parts_of_devices(rows, self.examples)
        idle = self._micro_batch(rows[:1])
        return [(self._micro_batch(part), True) for part in parts] + [(idle, False)] * (number - len(parts))

    def _on_all_devices(self, read: list[list[HostPart]]) -> list[list[HostPart]]:
        gathered: list[Any] = [None] * self.num_devices
        dist.all_gather_object(gathered, read)
        return [[part for of_device in gathered for part in of_device[step]] for step in range(len(read))]

    @torch.no_grad()
    def _validation_sums(self, table: TokenTable) -> LossSums:
        self.model.eval()
        parts, number = self._parts_of_devices(np.arange(len(table)), table)
        read: list[HostPart] = []
        for index in range(number):
            part = parts[index] if index < len(parts) else np.arange(1)
            one = build_micro_batch(table, part, packed=self.config.packing)
            losses = self._losses(one)[1].cpu().numpy()
            if index < len(parts):
                read.append((losses, one.cells))
        sums = LossSums(table)
        for losses, cells in self._on_all_devices([read])[0]:
            sums.add_losses(losses, cells)
        sums.add_bytes(table, np.arange(len(table)))
        self.model.train()
        return sums

    def _score(self) -> float | None:
        if self.config.select_by != "score":
            return None
        if self.rank:
            self._write(Path())
            return float(from_first(None))
        return float(from_first(score_of_candidate(self.request, self._write)))

    def _write(self, folder: Path) -> None:
        """Write a checkpoint; the first process writes, and all take part."""
        if self.rank:
            self._write_weights(folder)
        else:
            with replaced_folder(folder) as partial:
                self._write_weights(partial)
                self.tokenizer.save_pretrained(partial)
        dist.barrier()

    def _write_weights(self, folder: Path) -> None:
        if self.config.method != "lora":
            write_full_weights(self.sharded, self.tokenizer, folder, self.dtype)
            return
        weights = dict(whole_tensors(self.model, trained_only=True))
        if self.rank == 0:
            write_adapter(self.model, folder, self.request, weights)

    def _ending_and_saving(self) -> tuple[bool, bool]:
        ending, saving = from_first(super()._ending_and_saving())
        return bool(ending), bool(saving)

    def _save(self, step: int) -> None:
        super()._save(step)
        self.best.tidy()

    def _write_metrics(self) -> None:
        if self.rank == 0:
            super()._write_metrics()
