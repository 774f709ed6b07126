"""Weights of the best step so far, for the selection of a checkpoint by validation."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from crosslift.errors import TrainingError
from crosslift.fingerprint import fingerprint_file
from crosslift.system.files import atomic_write
from crosslift.training.meter import LossSums
from crosslift.training.trainer import TokenTable, TrainingRequest


class BestWeights:
    """Keeps the trainable weights of the step with the highest value in one file.

    Args:
        folder: folder of the file.
        model: the model in training.
    """

    def __init__(self, folder: Path, model: torch.nn.Module) -> None:
        self._file = folder / "best.safetensors"
        self._model = model
        self._best: tuple[float, int, str] | None = None  # value, step, checksum of the file

    @property
    def step(self) -> int | None:
        """The best step; None if no value has been considered."""
        return None if self._best is None else self._best[1]

    def consider(self, value: float, step: int) -> None:
        """Keep the present weights if `value` is higher than that of every earlier step."""
        if self._best is not None and value <= self._best[0]:
            return
        with atomic_write(self._file) as temporary:
            save_file({name: weight.detach() for name, weight in self._trainable().items()}, temporary)
            self._best = (value, step, fingerprint_file(temporary))

    def load(self, device: torch.device) -> None:
        """Set the model's weights to the best ones.

        Raises:
            TrainingError: the file is damaged.
        """
        assert self._best is not None
        known = self._best[2]
        if not self._file.is_file() or (known and fingerprint_file(self._file) != known):
            raise TrainingError(
                f"{self._file.name}, the weights of the best step, is damaged. crosslift run begins the training anew."
            )
        best = load_file(self._file, device=str(device))
        with torch.no_grad():
            for name, weight in self._trainable().items():
                weight.copy_(best[name])

    def remove(self) -> None:
        """Delete the file."""
        self._file.unlink(missing_ok=True)

    def state(self) -> tuple[float, int, str] | None:
        """Value, step and checksum of the best weights, in JSON types."""
        return self._best

    def restore_state(self, state: list[Any] | None) -> None:
        """Continue from what `state` returned, after it was read from JSON."""
        if state is not None:
            value, step, *checksum = state
            self._best = (value, step, checksum[0] if checksum else "")  # of an older version: not known

    def _trainable(self) -> dict[str, torch.Tensor]:
        return {name: weight for name, weight in self._model.named_parameters() if weight.requires_grad}


def score_of_candidate(request: TrainingRequest, write: Callable[[Path], None]) -> float | None:
    """Score the present weights if the checkpoint is selected by score; None otherwise.

    Args:
        request: the training request, whose `score` evaluates a checkpoint.
        write: writes the present weights as a checkpoint into a folder.
    """
    if request.config.select_by != "score":
        return None
    assert request.score is not None
    candidate = request.folder / "candidate"
    write(candidate)
    score = float(request.score(candidate))
    shutil.rmtree(candidate)
    return score


def selection_value(examples: TokenTable, sums: LossSums | None, score: float | None) -> float:
    """Return the value by which a checkpoint is selected; higher is better.

    It is the score, else the negative mean validation loss over the languages and tasks that are trained on.

    Args:
        examples: the training examples.
        sums: the validation losses; may be None only if there is a score.
        score: result of `score_of_candidate`.
    """
    if score is not None:
        return score
    assert sums is not None
    return -sums.mean_over_cells({examples.languages[number] for number in np.unique(examples.language)})
