"""State of an interrupted run on several devices, written by all of them with torch.distributed.checkpoint.

A state is a folder of files, one or more per process, that can be read by another number of processes. A small file
names the newest complete one, with the checksums of its files; it is replaced atomically, and what it does not name is
removed. A damaged state is not resumed, and the run starts from the beginning.
"""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from crosslift.errors import TrainingError
from crosslift.fingerprint import fingerprint, fingerprint_file
from crosslift.system.files import atomic_write
from crosslift.training.trainer import TrainingRequest
from crosslift.training.trainers.native.optimization.optimizer import (
    empty_moments,
    kinds_of_moments,
    moments,
    set_moments,
)
from crosslift.training.trainers.native.state import (
    NAME,
    SHARDED,
    SHARDED_BEST,
    SaveInterval,
    request_fingerprint,
)

NEWEST = "newest.json"

log = logging.getLogger(__name__)


class ShardedState:
    """Saves and restores the trainable weights, the moments of AdamW and a JSON value; see `state.State`."""

    def __init__(self, request: TrainingRequest, model: Any, optimizer: torch.optim.Optimizer) -> None:
        self._folder = request.folder / SHARDED
        self._identity = request_fingerprint(request)
        self._weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        self._optimizer = optimizer
        self._interval = SaveInterval(request.save_seconds, fixed=request.save_seconds == 0)  # 0: after every step

    def is_due(self) -> bool:
        """Whether the save interval has passed by the clock of this process."""
        return self._interval.is_due()

    def save(self, step: int, content: dict[str, Any]) -> None:
        """Write the state after `step` completed steps, with a JSON value."""
        started = time.monotonic()
        name = f"step-{step}"
        files = save_tensors(self._folder / name, self._tensors(fill=False))
        if dist.get_rank() == 0:
            said = {"identity": self._identity, "step": step, "content": content, "name": name, "files": files}
            with atomic_write(self._folder / NEWEST) as temporary:
                temporary.write_text(json.dumps(said), encoding="utf-8")
            remove_others(self._folder, name)
        dist.barrier()
        self._interval.saved(started=started)

    def restore(self) -> tuple[int, dict[str, Any]] | None:
        """Restore weights and moments.

        Returns:
            The number of completed steps and the JSON value, or None if no intact state of this request exists.
        """
        said = from_first(self._read() if dist.get_rank() == 0 else None)
        if said is None or said["identity"] != self._identity:
            return None
        if not are_intact(self._folder / said["name"], said["files"]):
            log.warning("%s is damaged; the training starts from the beginning", self._folder.name)
            self.remove()
            return None
        tensors = self._tensors(fill=True)
        load(tensors, checkpoint_id=self._folder / said["name"])
        for name, weight in self._weights.items():
            read = {kind: tensors[f"{kind}.{name}"] for kind in kinds_of_moments(self._optimizer, weight)}
            set_moments(self._optimizer, weight, said["step"], read)
        return said["step"], said["content"]

    def _tensors(self, *, fill: bool) -> dict[str, Tensor]:
        """The tensors of the state; with `fill`, new moments to read into."""
        tensors = {}
        for name, weight in self._weights.items():
            tensors[f"weight.{name}"] = weight.detach()
            held = empty_moments(self._optimizer, weight) if fill else moments(self._optimizer, weight)
            tensors |= {f"{kind}.{name}": one for kind, one in held.items()}
        return tensors

    def _read(self) -> dict[str, Any] | None:
        file = self._folder / NEWEST
        try:
            said = json.loads(file.read_text(encoding="utf-8"))
            return said if {"identity", "step", "content", "name", "files"} <= set(said) else None
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            log.warning("%s is damaged (%s); the training starts from the beginning", file.name, error)
            return None

    def remove(self) -> None:
        """Delete the state, and that of an attempt on one device."""
        dist.barrier()
        if dist.get_rank() == 0:
            shutil.rmtree(self._folder, ignore_errors=True)
            for file in (NAME, "best.safetensors"):
                self._folder.with_name(file).unlink(missing_ok=True)


class ShardedBest:
    """Keeps the trainable weights of the step with the highest value; see `best.BestWeights`."""

    def __init__(self, folder: Path, model: Any) -> None:
        self._folder = folder / SHARDED_BEST
        self._weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        self._best: tuple[float, int, dict[str, str]] | None = None

    @property
    def step(self) -> int | None:
        """The best step; None if no value has been considered."""
        return None if self._best is None else self._best[1]

    def consider(self, value: float, step: int) -> None:
        """Keep the present weights if `value` is higher than that of every earlier step."""
        if self._best is not None and value <= self._best[0]:
            return
        # The files of the earlier best step stay until `remove`: the newest state may still name them.
        files = save_tensors(self._folder / f"step-{step}", self._tensors())
        self._best = (value, step, files)

    def load(self, device: torch.device) -> None:
        """Set the model's weights to the best ones.

        Raises:
            TrainingError: a file is damaged.
        """
        assert self._best is not None
        _, step, files = self._best
        if not are_intact(self._folder / f"step-{step}", files):
            raise TrainingError(
                f"{self._folder.name}, the weights of the best step, is damaged. crosslift run begins the training "
                "anew."
            )
        load(self._tensors(), checkpoint_id=self._folder / f"step-{step}")

    def _tensors(self) -> dict[str, Tensor]:
        return {name: weight.detach() for name, weight in self._weights.items()}

    def tidy(self) -> None:
        """Remove the files of earlier best steps, which no state names any more."""
        dist.barrier()
        if dist.get_rank() == 0 and self._best is not None:
            remove_others(self._folder, f"step-{self._best[1]}")

    def remove(self) -> None:
        """Delete the files."""
        dist.barrier()
        if dist.get_rank() == 0:
            shutil.rmtree(self._folder, ignore_errors=True)

    def state(self) -> tuple[float, int, dict[str, str]] | None:
        """Value, step and checksums of the best weights, in JSON types."""
        return self._best

    def restore_state(self, state: list[Any] | None) -> None:
        """Continue from what `state` returned, after it was read from JSON."""
        if state is not None:
            value, step, files = state
            self._best = (value, step, files)


def from_first(value: Any) -> Any:
    """The value that the first process passes; all processes must call it."""
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def save_tensors(folder: Path, tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Write tensors into a new folder, from all processes.

    Returns:
        File -> checksum.
    """
    if dist.get_rank() == 0:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    dist.barrier()
    save(dict(tensors), checkpoint_id=folder)
    dist.barrier()
    return _checksums(folder, sorted(file.name for file in folder.iterdir() if file.is_file()))


def are_intact(folder: Path, files: Mapping[str, str]) -> bool:
    """Whether the files have these checksums; every process reads a share of them."""
    return fingerprint(_checksums(folder, sorted(files))) == fingerprint(dict(files))


def _checksums(folder: Path, names: list[str]) -> dict[str, str]:
    rank, size = dist.get_rank(), dist.get_world_size()
    own = {name: _checksum(folder / name) for name in names[rank::size]}
    gathered: list[Any] = [None] * size
    dist.all_gather_object(gathered, own)
    return {name: checksum for part in gathered for name, checksum in part.items()}


def _checksum(file: Path) -> str:
    try:
        return fingerprint_file(file)
    except OSError:
        return "missing"


def remove_others(folder: Path, name: str) -> None:
    """Remove the folders beside the one with this name."""
    for other in folder.iterdir():
        if other.is_dir() and other.name != name:
            shutil.rmtree(other, ignore_errors=True)
