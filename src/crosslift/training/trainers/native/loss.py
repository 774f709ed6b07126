"""Cross-entropy computed only for the tokens under the loss mask.

Two thirds of the tokens of an SFT corpus are prompts, and with a vocabulary of 250,000 the logits of a micro-batch are
larger than the model. The language-model head therefore receives only the hidden states that predict a token under the
loss mask. A forward pre-hook on the head selects them, so that the model's own forward pass still applies everything
that it applies to logits (soft caps in Gemma 2, `logit_scale` in Cohere), adapters included, and no list of
architectures is needed.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from crosslift.errors import TrainingError


class LogitSelector:
    """Forward pre-hook that passes only the selected positions to the language-model head.

    `positions` holds indices into the flattened token positions, int64, (K',); set it before each forward pass.
    """

    def __init__(self, model: Any) -> None:
        head = model.get_output_embeddings()
        if head is None:
            raise TrainingError(f"{type(model).__name__} has no language-model head, so it cannot be trained on text.")
        self.head = head
        self.positions: Tensor | None = None
        head.register_forward_pre_hook(self)

    def __call__(self, head: torch.nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        hidden, *rest = inputs
        assert self.positions is not None
        return hidden.flatten(0, -2).index_select(0, self.positions), *rest


class TokenLosses(torch.autograd.Function):
    """Cross-entropy of each token in nats: logits (K, vocabulary), targets (K,) -> (K,).

    The gradient overwrites the saved log-probabilities, so one array of the size of the logits is needed besides them,
    while `cross_entropy` needs three.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor) -> Tensor:
        logs = torch.log_softmax(logits, dim=-1, dtype=torch.float32)
        ctx.save_for_backward(logs, targets)
        ctx.kind = logits.dtype
        return -logs.gather(1, targets[:, None])[:, 0]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        logs, targets = ctx.saved_tensors
        gradient = logs.exp_()  # overwrites the saved tensor, so the backward pass can run only once
        gradient[torch.arange(len(targets), device=targets.device), targets] -= 1.0
        gradient *= grads[0][:, None]
        return gradient.to(ctx.kind), None


def token_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of each token in nats: logits (K, vocabulary), targets int64 (K,) -> float32 (K,)."""
    losses: Tensor = TokenLosses.apply(logits, targets)  # type: ignore[no-untyped-call]
    return losses
