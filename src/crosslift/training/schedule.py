"""The learning rate of a step."""

from __future__ import annotations

import math

from crosslift.training.trainer import SFTConfig


def learning_rate(step: int, num_steps: int, config: SFTConfig) -> float:
    """Learning rate of optimiser step `step`, counted from 0.

    It rises linearly over the first ceil(warmup_share * num_steps) steps, reaching its peak with the last of them,
    and then falls to zero (linear, cosine) behind the last step. No step has rate zero: it would cost and do nothing.
    """
    num_warmup = math.ceil(config.warmup_share * num_steps - 1e-9)
    if step < num_warmup:
        return config.learning_rate * (step + 1) / num_warmup
    done = (step - num_warmup) / max(1, num_steps - num_warmup)
    if config.schedule == "linear":
        return config.learning_rate * (1 - done)
    if config.schedule == "cosine":
        return config.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
    return config.learning_rate
