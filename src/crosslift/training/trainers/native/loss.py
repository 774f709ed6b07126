"""Loss where the loss is.

Two thirds of an SFT corpus are prompts, and a vocabulary of 250,000 makes the logits of a micro-batch larger than the
model. So the language-model head is given only the hidden states that predict a token with loss. That is done by a hook
before the head and not by calling backbone and head apart: the model's own forward still applies what it applies to its
logits (soft caps in Gemma 2, `logit_scale` in Cohere), adapters included, and no list of architectures is needed here.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from crosslift.errors import TrainingError


class LossHead:
    """Hands only chosen places to the head of a model."""

    def __init__(self, model: Any) -> None:
        head = model.get_output_embeddings()
        if head is None:
            raise TrainingError(f"{type(model).__name__} has no language-model head, so it cannot be trained on text.")
        self.where: Tensor | None = None
        head.register_forward_pre_hook(self)

    def __call__(self, head: torch.nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        hidden, *rest = inputs
        assert self.where is not None
        return hidden.flatten(0, -2).index_select(0, self.where), *rest


class TokenLosses(torch.autograd.Function):
    """Cross-entropy of every token, in nats: (K, vocabulary), (K,) -> (K,).

    The gradient overwrites the saved probabilities: one array of the logits' size beside the logits, where
    `cross_entropy` needs three.
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
        gradient = logs.exp_()  # saved for this alone; a second backward pass would find it spent
        gradient[torch.arange(len(targets), device=targets.device), targets] -= 1.0
        gradient *= grads[0][:, None]
        return gradient.to(ctx.kind), None


def token_losses(logits: Tensor, targets: Tensor) -> Tensor:
    losses: Tensor = TokenLosses.apply(logits, targets)  # type: ignore[no-untyped-call]
    return losses
