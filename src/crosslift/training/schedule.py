"""Learning-rate schedules, and the steps at which losses are recorded and checkpoints validated."""

from __future__ import annotations

import math

from crosslift.training.trainer import SFTConfig

NUM_LOG_ROWS = 50
"""Number of times that the training loss is recorded during a run."""


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


def validation_steps(config: SFTConfig, num_steps: int, steps_per_epoch: int) -> set[int]:
    """Numbers of completed steps after which a run is validated; empty if it never is.

    Args:
        config: gives `validate_every`, `validate_every_steps` and `select_by`.
        num_steps: steps of the whole run.
        steps_per_epoch: steps of one epoch.
    """
    if config.validate_every_steps is not None:
        return {*range(config.validate_every_steps, num_steps + 1, config.validate_every_steps), num_steps}
    every = config.validate_every
    if every is None:
        every = num_steps / steps_per_epoch if config.select_by == "last" else 1.0
    if every == 0:
        return set()
    interval = max(1.0, every * steps_per_epoch)
    return {round(k * interval) for k in range(1, int(num_steps / interval) + 1)} | {num_steps}
