"""The built-in trainer: one training loop for all Hugging Face causal language models, full or LoRA. See `loop`."""

from __future__ import annotations

from pathlib import Path

from crosslift.training.trainer import Trained, TrainingRequest

__all__ = ["merge_adapter", "train"]


def train(request: TrainingRequest) -> Trained:
    """Train as `crosslift.training.trainers.native.loop.train` describes. torch is imported here, not by `check`."""
    from crosslift.training.trainers.native.loop import train as train_in_loop

    return train_in_loop(request)


def merge_adapter(base: Path, adapter: Path, folder: Path) -> None:
    """Merge an adapter of any trainer as `crosslift.training.trainers.native.merge.merge_adapter` describes."""
    from crosslift.training.trainers.native.merge import merge_adapter as merge

    merge(base, adapter, folder)
