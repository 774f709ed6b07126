"""State of an interrupted run, in one file that is replaced atomically.

Batch order and all random numbers follow from the seed and the step, so the state consists of the weights, the
optimizer moments and the sums of the metrics.
"""

from __future__ import annotations

import json
import time
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from crosslift.files import atomic_write
from crosslift.fingerprint import fingerprint, fingerprint_array
from crosslift.training.trainer import TrainingRequest

NAME = "state.safetensors"
MAX_SAVE_TIME_SHARE = 0.03
"""Maximum share of the time of a run that saving may take."""


def request_fingerprint(request: TrainingRequest) -> str:
    """Fingerprint of everything that determines the result, so that no run resumes from the state of another."""
    tables = [request.examples] + ([request.validation] if request.validation is not None else [])
    return fingerprint(
        {
            "model": request.model,
            "revision": request.revision,
            "config": request.config,
            "seed": request.seed,
            "shuffle": request.shuffle,
            "tables": [
                [fingerprint_array(a) for a in (t.ids, t.offsets, t.prompt_lengths, t.language, t.task)] for t in tables
            ],
        }
    )


class State:
    """Saves and restores the trainable weights, the moments of AdamW and a JSON value."""

    def __init__(self, request: TrainingRequest, model: Any, optimizer: torch.optim.Optimizer) -> None:
        self._file = request.folder / NAME
        self._identity = request_fingerprint(request)
        self._weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        self._optimizer = optimizer
        self._pause = request.save_seconds
        self._last = time.monotonic()

    def is_due(self) -> bool:
        """Whether the save interval has passed."""
        return time.monotonic() - self._last >= self._pause

    def save(self, step: int, content: dict[str, Any]) -> None:
        """Write the state after `step` completed steps, with a JSON value."""
        started = time.monotonic()
        tensors: dict[str, Tensor] = {}
        for name, weight in self._weights.items():
            moments = self._optimizer.state[weight]
            tensors[f"weight.{name}"] = weight.detach().contiguous()
            tensors[f"mean.{name}"] = moments["exp_avg"].contiguous()
            tensors[f"square.{name}"] = moments["exp_avg_sq"].contiguous()
        text = json.dumps({"identity": self._identity, "step": step, "content": content})
        with atomic_write(self._file) as temporary:
            save_file(tensors, temporary, metadata={"state": text})
        self._last = time.monotonic()
        self._pause = max(self._pause, (self._last - started) / MAX_SAVE_TIME_SHARE)

    def restore(self) -> tuple[int, dict[str, Any]] | None:
        """Restore weights and moments.

        Returns:
            The number of completed steps and the JSON value, or None if no state of this request exists.
        """
        if not self._file.is_file():
            return None
        with safe_open(self._file, framework="pt") as file:
            state = json.loads(file.metadata()["state"])
            if state["identity"] != self._identity:
                return None
            with torch.no_grad():
                for name, weight in self._weights.items():
                    weight.copy_(file.get_tensor(f"weight.{name}"))
                    self._optimizer.state[weight] = {
                        "step": torch.tensor(float(state["step"]), device=weight.device),
                        "exp_avg": file.get_tensor(f"mean.{name}").to(weight.device),
                        "exp_avg_sq": file.get_tensor(f"square.{name}").to(weight.device),
                    }
        return state["step"], state["content"]

    def remove(self) -> None:
        """Delete the file."""
        self._file.unlink(missing_ok=True)
