"""The built-in trainer: one training loop for all Hugging Face causal language models, full or LoRA. See `loop`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from crosslift.errors import MissingPackage
from crosslift.extras import require
from crosslift.training.trainer import Ended, SFTConfig, Trained, TrainingRequest

SEVERAL_DEVICES = True

__all__ = ["SEVERAL_DEVICES", "alone", "merge_adapter", "refused", "train", "train_together"]


def train(request: TrainingRequest) -> Trained:
    """Train as `crosslift.training.trainers.native.loop.train` describes, on one device or several.

    When a device runs out of memory, the micro-batches are halved. torch is imported here, not by `check`.
    """
    if request.config.saves_memory:
        require("torchao")
    from crosslift.training.trainers.native.within_memory import train_within_memory

    if request.num_devices > 1:
        from crosslift.training.trainers.native.sharded.launch import train_on_devices

        return train_within_memory(request, lambda limit: train_on_devices(request, micro_batch_tokens=limit))
    from crosslift.training.trainers.native.loop import train as train_in_loop

    return train_within_memory(request, lambda limit: train_in_loop(request, micro_batch_tokens=limit))


def refused(config: SFTConfig) -> list[str]:
    """List the settings that cannot be used with the packages that are installed.

    Args:
        config: the settings of training.

    Returns:
        One sentence per setting, with the remedy.
    """
    if not config.saves_memory:
        return []
    try:
        require("torchao")
    except MissingPackage as error:
        key = "optimizer_state" if config.optimizer_state != "float32" else "weight_precision"
        return [f"training.{key}: {error}"]
    return []


def alone(config: SFTConfig) -> str | None:
    """Why runs with these settings are trained one by one; None if runs of one base model can be trained together.

    Args:
        config: the settings of training.
    """
    if config.method != "lora":
        return "full fine-tuning changes the base model, which the runs would share"
    if config.lora is not None and config.lora.dropout > 0:
        return "each run draws the masks of its dropout from a stream of its own, and a pass has one stream"
    if not config.packing:
        return "the tokens of all runs are packed into one row, and packing is false"
    return None


def train_together(requests: Sequence[TrainingRequest], ended: Ended) -> str | None:
    """Train LoRA runs of one base model as `crosslift.training.trainers.native.together.group` describes."""
    from crosslift.training.trainers.native.together.group import train_together as train_group

    return train_group(requests, ended)


def merge_adapter(base: Path, adapter: Path, folder: Path) -> None:
    """Merge an adapter of any trainer as `crosslift.training.trainers.native.merge.merge_adapter` describes."""
    from crosslift.training.trainers.native.merge import merge_adapter as merge

    merge(base, adapter, folder)
