"""The optimizer of a run."""

from __future__ import annotations

import torch

from crosslift.training.trainer import SFTConfig


def create_optimizer(weights: list[torch.nn.Parameter], config: SFTConfig) -> torch.optim.Optimizer:
    """AdamW with weight decay on matrices, without it on biases and norm weights.

    Args:
        weights: the trained weights.
        config: the settings of training.
    """
    groups = [
        {"params": [weight for weight in weights if weight.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [weight for weight in weights if weight.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=config.learning_rate, fused=True)
