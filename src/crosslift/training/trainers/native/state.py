"""What a killed run resumes from: one file, replaced as a whole.

The order of batches and every random number follow from seed and step, so weights, optimiser and sums are all there is.
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
LONGEST_SHARE = 0.03
"""Saving may take this share of the time, at most."""


def identity(request: TrainingRequest) -> str:
    """Of everything that the result depends on: a state left by another request must not be resumed."""
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
    """Saves and restores the trainable weights, AdamW's moments and a JSON value."""

    def __init__(self, request: TrainingRequest, model: Any, optimizer: torch.optim.Optimizer) -> None:
        self._file = request.folder / NAME
        self._identity = identity(request)
        self._weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        self._optimizer = optimizer
        self._pause = request.save_seconds
        self._last = time.monotonic()

    def is_due(self) -> bool:
        return time.monotonic() - self._last >= self._pause

    def save(self, step: int, content: dict[str, Any]) -> None:
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
        self._pause = max(self._pause, (self._last - started) / LONGEST_SHARE)

    def restore(self) -> tuple[int, dict[str, Any]] | None:
        """Put everything back; returns the step and the JSON value, or None if there is nothing of this request."""
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
        self._file.unlink(missing_ok=True)
