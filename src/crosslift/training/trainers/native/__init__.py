"""The built-in trainer: one training loop for all Hugging Face causal language models, full or LoRA. See `loop`."""

from __future__ import annotations

from pathlib import Path

from crosslift.training.trainer import Trained, TrainingRequest

SEVERAL_DEVICES = True

__all__ = ["SEVERAL_DEVICES", "merge_adapter", "train"]


def train(request: TrainingRequest) -> Trained:
    """Train as `crosslift.training.trainers.native.loop.train` describes, on one device or several.

    When a device runs out of memory, the micro-batches are halved. torch is imported here, not by `check`.
    """
    from crosslift.training.trainers.native.within_memory import train_within_memory

    if request.num_devices > 1:
        from crosslift.training.trainers.native.sharded.launch import train_on_devices

        return train_within_memory(request, lambda limit: train_on_devices(request, micro_batch_tokens=limit))
    from crosslift.training.trainers.native.loop import train as train_in_loop

    return train_within_memory(request, lambda limit: train_in_loop(request, micro_batch_tokens=limit))


def merge_adapter(base: Path, adapter: Path, folder: Path) -> None:
    """Merge an adapter of any trainer as `crosslift.training.trainers.native.merge.merge_adapter` describes."""
    from crosslift.training.trainers.native.merge import merge_adapter as merge

    merge(base, adapter, folder)
