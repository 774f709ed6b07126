"""The optimizer that a configuration asks for, its step, and its moments for the state of an interrupted run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from crosslift.training.trainer import SFTConfig
from crosslift.training.trainers.native.optimization.low_memory import MOMENTS, LowMemoryAdamW

NAMES = {
    "exp_avg": "mean",
    "exp_avg_sq": "square",
    "exp_avg_scale": "mean_scale",
    "exp_avg_sq_scale": "square_scale",
}
"""Key in an optimizer's state -> name in a file."""


def build_optimizer(model: Any, config: SFTConfig, *, seed: int) -> torch.optim.Optimizer:
    """AdamW with weight decay on matrices, without it on biases and norm weights.

    Args:
        model: the model; its parameters that require a gradient are trained.
        config: the settings of training.
        seed: the seed of the run.

    Raises:
        MissingPackage: the settings need torchao, which is not installed.
    """
    names = {weight: name for name, weight in model.named_parameters() if weight.requires_grad}
    groups = [
        {"params": [weight for weight in names if weight.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [weight for weight in names if weight.ndim < 2], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if not config.saves_memory:
        return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)
    return LowMemoryAdamW(
        groups,
        names=names,
        eight_bit=config.optimizer_state == "8-bit",
        max_grad_norm=config.max_grad_norm,
        seed=seed,
    )


def update(optimizer: torch.optim.Optimizer, weights: list[Any], *, rate: float, max_grad_norm: float) -> None:
    """Clip the accumulated gradients, update the weights and release the gradients.

    Args:
        optimizer: result of `build_optimizer`.
        weights: the trained parameters.
        rate: learning rate of the step.
        max_grad_norm: largest norm of all gradients together; 0 for no limit.
    """
    if max_grad_norm > 0 and not isinstance(optimizer, LowMemoryAdamW):  # which clips within its update
        torch.nn.utils.clip_grad_norm_(weights, max_grad_norm, foreach=True)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def kinds_of_moments(optimizer: torch.optim.Optimizer, weight: Tensor) -> tuple[str, ...]:
    """Names in a file of the moments of a weight.

    Args:
        optimizer: result of `build_optimizer`.
        weight: a trained parameter.
    """
    keys = optimizer.kinds_of_moments(weight) if isinstance(optimizer, LowMemoryAdamW) else MOMENTS
    return tuple(NAMES[key] for key in keys)


def empty_moments(optimizer: torch.optim.Optimizer, weight: Tensor) -> dict[str, Tensor]:
    """Moments of a weight before the first step, by name in a file, to be read into.

    Args:
        optimizer: result of `build_optimizer`.
        weight: a trained parameter.
    """
    if isinstance(optimizer, LowMemoryAdamW):
        return {NAMES[key]: value for key, value in optimizer.empty_moments(weight).items()}
    return {NAMES[key]: torch.zeros_like(weight.detach()) for key in MOMENTS}


def moments(optimizer: torch.optim.Optimizer, weight: Tensor) -> dict[str, Tensor]:
    """The present moments of a weight, by name in a file."""
    state = optimizer.state[weight]
    return {name: state[key] for key, name in NAMES.items() if key in state}


def set_moments(optimizer: torch.optim.Optimizer, weight: Tensor, step: int, values: Mapping[str, Tensor]) -> None:
    """Continue with moments that were read.

    Args:
        optimizer: result of `build_optimizer`.
        weight: a trained parameter.
        step: completed steps.
        values: name in a file -> moment.
    """
    own = isinstance(optimizer, LowMemoryAdamW)
    optimizer.state[weight] = {
        "step": step if own else torch.tensor(float(step), device=weight.device),
        **{key: values[name].to(weight.device) for key, name in NAMES.items() if name in values},
    }
