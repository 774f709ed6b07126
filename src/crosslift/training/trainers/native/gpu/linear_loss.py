"""Head and cross-entropy in one, chunk by chunk, so that the logits of a micro-batch never exist together.

The gradients of a chunk are computed with its losses, as in Liger Kernel (P.-L. Hsu et al. 2024, arXiv 2410.10989), so
every logit is computed once. `torch.nn.functional.linear_cross_entropy` does the same for a mean or a sum. A run also
needs the loss of every token, by language, in float32; for these, torch's function returns bfloat16 and computes the
logits twice. It is therefore written out here, and a test compares it with torch's.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from crosslift.training.packing import round_up

CHUNK_BYTES = 1 << 29
"""Bytes of the float32 log-probabilities of one chunk."""
ROW_MULTIPLE = 64
"""Rows of a chunk: matrix products on tensor cores want multiples."""
TOLERANCE = 0.02
"""Largest difference from the separate computation, relative to the largest value; both round to bfloat16."""


def chunk_rows(vocabulary: int) -> int:
    """Rows of a chunk for a vocabulary of this size."""
    return max(ROW_MULTIPLE, CHUNK_BYTES // (4 * vocabulary) // ROW_MULTIPLE * ROW_MULTIPLE)


class LinearLosses(torch.autograd.Function):
    """Weighted sum of the first losses in nats, and the loss of each token, which has no gradient of its own."""

    @staticmethod
    def forward(  # noqa: PLR0917 - autograd passes by position
        ctx: Any,
        hidden: Tensor,  # (K', size)
        weight: Tensor,  # (vocabulary, size)
        targets: Tensor,  # int64, (K',)
        num_losses: int,
        dtype: torch.dtype,
        of_hidden: bool,
        of_weight: bool,
        shares: Tensor | None,  # (K',)
    ) -> tuple[Tensor, Tensor]:
        states, rounded = hidden.to(dtype), weight.to(dtype)
        losses = torch.zeros(len(hidden), device=hidden.device)
        grad_hidden = torch.zeros_like(states) if of_hidden else None
        grad_weight: Tensor | None = None
        step = chunk_rows(len(weight))
        end = min(round_up(num_losses, ROW_MULTIPLE), len(hidden))
        for start in range(0, end, step):
            part = slice(start, min(start + step, end))
            losses[part], gradient = _chunk(states[part], rounded, targets[part], of_hidden or of_weight)
            if gradient is None:
                continue
            gradient[max(0, num_losses - start) :] = 0.0  # padding
            if shares is not None:
                gradient *= shares[part, None]
            gradient = gradient.to(dtype)
            if grad_hidden is not None:
                grad_hidden[part] = gradient @ rounded
            if of_weight:
                grad_weight = _added(grad_weight, _product(gradient.T, states[part]))
            del gradient  # the next chunk is computed in its place
        if of_weight and grad_weight is None:  # no token has a loss
            grad_weight = torch.zeros_like(weight, dtype=torch.float32)
        ctx.gradients = grad_hidden, grad_weight
        ctx.kinds = hidden.dtype, weight.dtype
        ctx.mark_non_differentiable(losses)
        counted = losses if shares is None else losses * shares
        return counted[:num_losses].sum(), losses

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        gradients = ctx.gradients
        ctx.gradients = None, None  # the backward pass can run only once
        found = [
            None if one is None else one.mul_(grads[0]).to(kind) for one, kind in zip(gradients, ctx.kinds, strict=True)
        ]
        return *found, None, None, None, None, None, None


def _chunk(states: Tensor, weight: Tensor, targets: Tensor, wants_gradient: bool) -> tuple[Tensor, Tensor | None]:
    """Losses of a chunk, (R,), and the gradient of their sum by its logits, float32, (R, vocabulary)."""
    logs = torch.log_softmax(states @ weight.T, dim=-1, dtype=torch.float32)
    losses = -logs.gather(1, targets[:, None])[:, 0]
    if not wants_gradient:
        return losses, None
    gradient = logs.exp_()
    gradient[torch.arange(len(targets), device=targets.device), targets] -= 1.0
    return losses, gradient


def _added(total: Tensor | None, more: Tensor) -> Tensor:
    return more if total is None else total.add_(more)


def _product(left: Tensor, right: Tensor) -> Tensor:
    """The product in float32; GPUs have one that rounds nothing in between."""
    if left.dtype == torch.float32:
        return left @ right
    if left.device.type == "cuda":
        product: Tensor = torch.mm(left, right, out_dtype=torch.float32)
        return product
    return left.float() @ right.float()


def linear_losses(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    num_losses: int,
    *,
    dtype: torch.dtype,
    shares: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of hidden states through a head without bias.

    Args:
        hidden: (K', size).
        weight: weight of the head, (vocabulary, size).
        targets: token ids, int64, (K',).
        num_losses: number of the first rows that count, K.
        dtype: type of the matrix products.
        shares: factor of each loss in the sum, float32, (K',); None: 1.

    Returns:
        Weighted sum of the first K losses in nats, with a gradient, float32; and the loss of each, without weights and
        without a gradient, float32, (K,).
    """
    on = torch.is_grad_enabled()
    total, losses = LinearLosses.apply(  # type: ignore[no-untyped-call]
        hidden, weight, targets, num_losses, dtype, on and hidden.requires_grad, on and weight.requires_grad, shares
    )
    return total, losses[:num_losses]


class LossHead:
    """Forward function of a head that returns losses in place of logits.

    Set `targets`, int64, (K',), `num_losses` and, if the losses have weights, `shares` before each forward pass of the
    model. `total` and `losses` hold what `linear_losses` returned. The model passes on the total as its logits: where
    the model is divided among devices, torch gathers it again for the backward pass when the gradient of what it
    returned arrives.
    """

    def __init__(self, head: torch.nn.Linear, dtype: torch.dtype) -> None:
        self._head = head
        self._dtype = dtype
        self.targets: Tensor | None = None
        self.shares: Tensor | None = None
        self.num_losses = 0
        self.total: Tensor | None = None
        self.losses: Tensor | None = None
        head.forward = self  # type: ignore[method-assign, assignment]

    def __call__(self, hidden: Tensor) -> Tensor:
        assert self.targets is not None
        self.total, self.losses = linear_losses(
            hidden, self._head.weight, self.targets, self.num_losses, dtype=self._dtype, shares=self.shares
        )
        return self.total

    def take(self) -> tuple[Tensor, Tensor]:
        """Return sum and losses of the last forward pass, and release them."""
        assert self.total is not None and self.losses is not None
        found = self.total, self.losses
        self.total = self.losses = self.targets = self.shares = None
        return found


def why_not(head: Any, device: torch.device, dtype: torch.dtype) -> str | None:
    """Why head and loss cannot be computed together; None if they can.

    Args:
        head: the language-model head.
        device: the device that computes.
        dtype: type of the matrix products.
    """
    if type(head) is not torch.nn.Linear:
        return f"the head is a {type(head).__name__}, not a linear layer"
    if getattr(head, "bias", None) is not None:
        return "the head has a bias"
    generator = torch.Generator().manual_seed(0)
    hidden, weight = (torch.randn(rows, 64, generator=generator).to(device).requires_grad_() for rows in (128, 512))
    targets = torch.arange(128, device=device)
    try:
        total, losses = linear_losses(hidden, weight, targets, 100, dtype=dtype)
        found = torch.autograd.grad(total, (hidden, weight))
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, TypeError) as error:
        return f"it fails on this device: {str(error).splitlines()[0]}"
    logits = (hidden.to(dtype) @ weight.to(dtype).T).float()
    expected = torch.nn.functional.cross_entropy(logits, targets, reduction="none")[:100]
    right = torch.autograd.grad(expected.sum(), (hidden, weight))
    pairs = zip((losses, *found), (expected.detach(), *right), strict=True)
    most = max(float((ours - theirs).detach().abs().max() / theirs.detach().abs().max()) for ours, theirs in pairs)
    return None if most < TOLERANCE else f"it differs from the separate computation by {most:.2g} on this device"
