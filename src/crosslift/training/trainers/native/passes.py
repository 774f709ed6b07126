"""RMS norms and rotary positions in fewer passes over memory, for CPUs.

On a CPU a small model spends as much time on these two as on its matrices: transformers writes them as six and nine
elementwise operations, and autograd adds twice as many. Here each has its gradient written out, and a step of the
pocket models takes a sixth less time. (The gate of the MLP was tried, too, and gained nothing.) They are put in only
where they give what the model's own code gives, on a probe: no list of architectures, and a model that does it another
way, such as Cohere's positions, keeps its own code. Rounding differs in the last bit, so all is put back when training
ends: evaluation in the same process must not depend on it.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor


@contextlib.contextmanager
def fuse_modules(model: Any) -> Iterator[None]:
    """Replace norms and rotary positions inside the model while the context lasts."""
    modules = list(model.modules())
    # Positions are encoded by a function of the module in which the model is written.
    names = {type(module).__module__ for module in modules}
    homes = [sys.modules[name] for name in sorted(names) if hasattr(sys.modules[name], "apply_rotary_pos_emb")]
    before = [(home, home.apply_rotary_pos_emb) for home in homes]
    for module in modules:
        if (ours := _norm_like(module)) is not None:
            module.forward = ours
    for home, theirs in before:
        if _is_rotation(theirs):
            home.apply_rotary_pos_emb = rotate_both  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for module in modules:
            vars(module).pop("forward", None)
        for home, theirs in before:
            home.apply_rotary_pos_emb = theirs  # type: ignore[attr-defined]


def _norm_like(norm: Any) -> Callable[[Tensor], Tensor] | None:
    if not type(norm).__name__.endswith("RMSNorm"):
        return None
    weight = getattr(norm, "weight", None)
    epsilon = getattr(norm, "variance_epsilon", getattr(norm, "eps", None))
    if weight is None or weight.ndim != 1 or weight.dtype != torch.float32 or epsilon is None:
        return None
    probe = torch.linspace(-2, 3, 3 * len(weight), device=weight.device).view(1, 3, -1)
    with torch.no_grad():
        theirs = norm(probe)
        for shift in (0.0, 1.0):  # Gemma keeps weight - 1
            ours = partial(_shifted_norm, weight, float(epsilon), shift)
            if torch.allclose(theirs, ours(probe), rtol=1e-5, atol=1e-6):
                return ours
    return None


def _shifted_norm(weight: Tensor, epsilon: float, shift: float, hidden: Tensor) -> Tensor:
    scale = weight + shift if shift else weight
    normed: Tensor = RMSNorm.apply(hidden, scale, epsilon)  # type: ignore[no-untyped-call]
    return normed


class RMSNorm(torch.autograd.Function):
    """x / sqrt(mean(x^2) + epsilon) * weight, over the last axis."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        size = hidden.shape[-1]
        norm = torch.linalg.vector_norm(hidden, dim=-1, keepdim=True)
        inverse = norm.square_().div_(size).add_(epsilon).rsqrt_()
        normed = hidden * inverse
        ctx.save_for_backward(normed, weight, inverse)
        scaled: Tensor = normed * weight
        return scaled

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor | None, None]:
        normed, weight, inverse = ctx.saved_tensors
        product = grads[0] * normed
        grad_weight = product.sum(tuple(range(product.ndim - 1))) if ctx.needs_input_grad[1] else None
        along = product.mul_(weight).sum(-1, keepdim=True).div_(-normed.shape[-1])
        grad_hidden = (grads[0] * weight).addcmul_(normed, along).mul_(inverse)
        return grad_hidden, grad_weight, None


def _is_rotation(theirs: Callable[..., Any]) -> bool:
    """Does the function turn the first half of a head against the second, as Llama's does?"""
    query = torch.linspace(-1, 2, 2 * 3 * 8).view(1, 2, 3, 8)
    angle = torch.linspace(0, 3, 3 * 4).view(1, 3, 4).repeat(1, 1, 2)
    try:
        expected = theirs(query, query[:, :1], angle.cos(), angle.sin())
    except (TypeError, RuntimeError):  # another signature: not ours to replace
        return False
    found = rotate_both(query, query[:, :1], angle.cos(), angle.sin())
    return all(torch.allclose(a, b, atol=1e-6) for a, b in zip(expected, found, strict=True))


def rotate_both(
    query: Tensor, key: Tensor, cos: Tensor, sin: Tensor, unsqueeze_dim: int = 1, **kwargs: Any
) -> tuple[Tensor, Tensor]:
    """Stands in for `apply_rotary_pos_emb` of Llama and its relatives."""
    cos, sin = cos.unsqueeze(unsqueeze_dim), sin.unsqueeze(unsqueeze_dim)
    turned: tuple[Tensor, Tensor] = tuple(Rotation.apply(states, cos, sin) for states in (query, key))  # type: ignore[no-untyped-call]
    return turned


class Rotation(torch.autograd.Function):
    """(x1, x2) -> (x1 cos - x2 sin, x2 cos + x1 sin), x1 and x2 the halves of the last axis."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turned(states, cos, sin, 1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return _turned(grads[0], cos, sin, -1), None, None


def _turned(states: Tensor, cos: Tensor, sin: Tensor, direction: int) -> Tensor:
    half = states.shape[-1] // 2
    turned = states * cos
    turned[..., :half].addcmul_(states[..., half:], sin[..., :half], value=-direction)
    turned[..., half:].addcmul_(states[..., :half], sin[..., half:], value=direction)
    return turned
