"""State of an interrupted run, in one file that is replaced atomically.

Batch order and all random numbers follow from the seed and the step, so the state consists of the weights, the
optimizer moments and the sums of the metrics.
The file holds a checksum of itself: a damaged state is not resumed, and the run starts from the beginning.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from crosslift.fingerprint import fingerprint, fingerprint_array
from crosslift.system.files import atomic_write, remove
from crosslift.training.trainer import TrainingRequest
from crosslift.training.trainers.native.optimization.optimizer import kinds_of_moments, moments, set_moments

NAME = "state.safetensors"
SHARDED, SHARDED_BEST = "state.sharded", "best.sharded"
"""Folders that hold the state of a run on several devices, and its best weights; see `sharded.state`."""
MAX_SAVE_TIME_SHARE = 0.03
"""Maximum share of the time of a run that saving may take."""

log = logging.getLogger(__name__)


def request_fingerprint(request: TrainingRequest) -> str:
    """Fingerprint of everything that determines the result, so that no run resumes from the state of another."""
    tables = [request.examples] + ([request.validation] if request.validation is not None else [])
    return fingerprint(
        {
            # The path of a local model changes with the working directory; the caller identifies its content.
            "model": request.model if request.base_name is None else asdict(request.base_name),
            "revision": request.revision,
            "config": request.config.recorded(),
            "seed": request.seed,
            "shuffle": request.shuffle,
            **({"stages": request.stages} if request.stages else {}),
            "tables": [
                [fingerprint_array(a) for a in (t.ids, t.offsets, t.prompt_lengths, t.language, t.task)] for t in tables
            ],
        }
    )


class SaveInterval:
    """When a state is saved next: so seldom that saving takes at most MAX_SAVE_TIME_SHARE of the time of a run.

    Args:
        seconds: shortest time between two saves.
        fixed: never wait longer, however long saving takes.
    """

    def __init__(self, seconds: float, *, fixed: bool = False) -> None:
        self._seconds = seconds
        self._fixed = fixed
        self._last = time.monotonic()

    def is_due(self) -> bool:
        """Whether the interval has passed by the clock of this process."""
        return time.monotonic() - self._last >= self._seconds

    def saved(self, *, started: float) -> None:
        """Begin the next interval after a save that began at `started`, by the monotonic clock."""
        self._last = time.monotonic()
        if not self._fixed:
            self._seconds = max(self._seconds, (self._last - started) / MAX_SAVE_TIME_SHARE)


class State:
    """Saves and restores the trainable weights, the moments of AdamW and a JSON value."""

    def __init__(self, request: TrainingRequest, model: Any, optimizer: torch.optim.Optimizer) -> None:
        self._file = request.folder / NAME
        self._identity = request_fingerprint(request)
        self._weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        self._kinds = {name: kinds_of_moments(optimizer, weight) for name, weight in self._weights.items()}
        self._optimizer = optimizer
        self._interval = SaveInterval(request.save_seconds)

    def is_due(self) -> bool:
        """Whether the save interval has passed."""
        return self._interval.is_due()

    def save(self, step: int, content: dict[str, Any]) -> None:
        """Write the state after `step` completed steps, with a JSON value."""
        started = time.monotonic()
        tensors: dict[str, Tensor] = {}
        for name, weight in self._weights.items():
            tensors[f"weight.{name}"] = weight.detach().contiguous()
            tensors |= {f"{kind}.{name}": one.contiguous() for kind, one in moments(self._optimizer, weight).items()}
        said = {"identity": self._identity, "step": step, "content": content}
        text = json.dumps(said | {"sha256": _sha256(tensors, said)})
        with atomic_write(self._file) as temporary:
            save_file(tensors, temporary, metadata={"state": text})
        self._interval.saved(started=started)

    def restore(self) -> tuple[int, dict[str, Any]] | None:
        """Restore weights and moments.

        Returns:
            The number of completed steps and the JSON value, or None if no intact state of this request exists.
        """
        if not self._file.exists():
            if self._file.with_name(SHARDED).exists():
                log.warning("the saved state is of a run on several devices; the training starts from the beginning")
            return None
        try:
            state, tensors = self._read()
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            log.warning("%s is damaged (%s); the training starts from the beginning", self._file.name, error)
            remove(self._file)
            return None
        if state is None:
            return None
        with torch.no_grad():
            for name, weight in self._weights.items():
                weight.copy_(tensors[f"weight.{name}"])
                read = {kind: tensors[f"{kind}.{name}"] for kind in self._kinds[name]}
                set_moments(self._optimizer, weight, state["step"], read)
        return state["step"], state["content"]

    def _read(self) -> tuple[dict[str, Any] | None, dict[str, Tensor]]:
        """What the file says, None if it is of another request, and its tensors. Raises whatever damage leads to."""
        with safe_open(self._file, framework="pt") as file:
            state = json.loads(file.metadata()["state"])
            if state["identity"] != self._identity:
                return None, {}
            names = [f"{kind}.{name}" for name in self._weights for kind in ("weight", *self._kinds[name])]
            tensors = {name: file.get_tensor(name) for name in names}
        expected = state.pop("sha256", None)
        if expected is not None and _sha256(tensors, state) != expected:  # None: of an older version
            raise ValueError("other bytes than were written")
        return state, tensors

    def remove(self) -> None:
        """Delete the file, and what an attempt on several devices left."""
        self._file.unlink(missing_ok=True)
        for name in (SHARDED, SHARDED_BEST):
            shutil.rmtree(self._file.with_name(name), ignore_errors=True)


def _sha256(tensors: Mapping[str, Tensor], said: Mapping[str, Any]) -> str:
    """Of the tensors' bytes, by name, and of what is said beside them."""
    digest = hashlib.sha256(json.dumps(said).encode())
    for name in sorted(tensors):
        digest.update(tensors[name].cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
