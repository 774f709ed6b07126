"""What `SFTTrainer` cannot do as the request asks. It is refused by name, never done in another way."""

from __future__ import annotations

import math

import numpy as np

from crosslift.errors import TrainingError
from crosslift.training.order import BatchSampler
from crosslift.training.trainer import SFTConfig


def refused(config: SFTConfig) -> list[str]:
    """List the settings that this trainer does not support.

    Args:
        config: the settings of the training.

    Returns:
        One sentence per setting, with the remedy.
    """
    found = []
    if config.packing:
        found.append(
            'training.packing: the trainer "trl" pads the examples of a micro-batch. TRL packs them across batches, '
            "which changes the examples of a step. Set packing = false."
        )
    for key in ("optimizer_state", "weight_precision"):
        if (value := getattr(config, key)) != "float32":
            found.append(
                f'training.{key}: the trainer "trl" does not support "{value}" as the built-in trainer computes it: '
                "optimizers of transformers divide moments into blocks otherwise, and none rounds stochastically with "
                f'a seed. Set trainer = "native", or remove {key}.'
            )
    targets = () if config.lora is None or config.lora.target_modules == "all-linear" else config.lora.target_modules
    if "lm_head" in targets:
        found.append(
            'training.lora.target_modules: the trainer "trl" cannot adapt lm_head, because TRL reads its weights '
            "directly. Remove lm_head."
        )
    return found


def num_micro_batches(order: BatchSampler, lengths: np.ndarray, config: SFTConfig, *, num_steps: int) -> int:
    """Number of micro-batches into which every step is divided.

    `SFTTrainer` accumulates gradients over the same number of micro-batches in all steps. It is the smallest number for
    which no micro-batch exceeds `micro_batch_tokens`, padding included.

    Args:
        order: the batch of every step.
        lengths: tokens of every example, shape (num_examples,).
        config: gives `micro_batch_tokens`.
        num_steps: steps of the run.

    Returns:
        The number, at least 1.

    Raises:
        TrainingError: a step has fewer examples than this number.
    """
    fewest, longest, wanted, most = len(lengths), 0, 1, 1
    for step in range(num_steps):
        rows = order.batch(step)
        here = int(lengths[rows].max())
        fewest, longest, most = min(fewest, len(rows)), max(longest, here), max(most, len(rows))
        wanted = max(wanted, math.ceil(len(rows) / max(1, config.micro_batch_tokens // here)))
    if wanted > fewest:
        enough = math.ceil(most / fewest) * longest
        raise TrainingError(
            'training.micro_batch_tokens: the trainer "trl" divides every step into the same number of micro-batches. '
            f"With {config.micro_batch_tokens:,} tokens it needs {wanted}, and one step has only {fewest} examples. "
            f'Raise micro_batch_tokens to {enough:,}, or set trainer = "native".'
        )
    return wanted
