"""Learning-rate schedules."""

from __future__ import annotations

import math

from crosslift.training.trainer import SFTConfig


def learning_rate(step: int, num_steps: int, config: SFTConfig) -> float:
    """Learning rate of an optimizer step.

    It rises linearly over the first ceil(warmup_share * num_steps) steps and reaches its peak at the last of them. It
    then decays (linear, cosine) so that it would be zero one step after the end, or stays constant. No step has
    learning rate zero, because such a step would have no effect.

    Args:
        step: index of the step, counted from 0.
        num_steps: steps of the whole run.
        config: gives the peak learning rate, the schedule and the warm-up.
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
