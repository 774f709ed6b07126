"""Attention over packed rows by `torch.nn.attention.varlen`: no padding, and no copies into blocks.

The kernel (FlashAttention 2, T. Dao 2023, arXiv 2307.08691) takes the boundaries of the examples as a tensor and
computes in bfloat16. The padding of the row forms an example of its own, which no token with a loss attends to.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from crosslift.training.packing import round_up

try:
    from torch.nn.attention.varlen import varlen_attn
except ImportError:  # before torch 2.10
    KERNEL: Any = None
else:
    KERNEL = varlen_attn

PARAMETERS = frozenset(inspect.signature(KERNEL).parameters) if KERNEL is not None else frozenset()
SHARED_KEYS = {"enable_gqa": True} if "enable_gqa" in PARAMETERS else {}
"""The argument for several query heads per key head; earlier versions of the kernel need none."""

LONGEST_MULTIPLE = 128
"""The length of the longest example is rounded up to a multiple of this: the kernel computes in blocks of 128 queries,
and a compiled block depends on the number."""
MAX_HEAD_SIZE, HEAD_MULTIPLE = 256, 8
"""Limits of FlashAttention 2."""
LEAST_CAPABILITY = (8, 0)
"""The oldest compute capability of FlashAttention 2: Ampere."""
TOLERANCE = 0.03
"""Largest difference from attention in float32, relative to the largest value; bfloat16 rounds to 2^-8."""


class PackedRow(NamedTuple):
    """Boundaries of the examples in a packed row, as the kernel takes them."""

    starts: Tensor
    """Start of each example, then the length of the row; int32, (S + 1,)."""
    longest: int
    """Tokens of the longest example, rounded up."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a layer asks of attention."""

    heads: int
    key_heads: int
    size: int
    value_size: int
    window: int | None
    """Tokens that a token attends to, itself included; None for all before it."""
    dropout: float


def boundaries_of(lengths: np.ndarray, num_places: int) -> tuple[np.ndarray, int]:
    """The boundaries of a packed row as `PackedRow` holds them, in an array.

    Args:
        lengths: tokens of each example, int64, (B,).
        num_places: length of the row with its padding.

    Returns:
        The starts and the length of the row, int32, (B + 1,) or, with padding, (B + 2,); and the rounded length of the
        longest example.
    """
    ends = np.cumsum(lengths)
    padding = num_places - int(ends[-1])
    starts = np.concatenate([[0], ends, [num_places] if padding else []]).astype(np.int32)
    return starts, round_up(max(int(lengths.max()), padding), LONGEST_MULTIPLE)


def varlen_attention(
    query: Tensor, key: Tensor, value: Tensor, row: PackedRow, *, scale: float, window: int | None
) -> Tensor:
    """Causal attention within each example of a packed row of N' tokens.

    Args:
        query: (1, heads, N', size).
        key: (1, key heads, N', size).
        value: (1, key heads, N', size).
        row: the boundaries of the examples.
        scale: factor of the scores.
        window: tokens that a token attends to, itself included; None for all before it.

    Returns:
        (1, N', heads, size), in the type of autocast if it is on.
    """
    kind = query.device.type
    rounds = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    dtype = torch.get_autocast_dtype(kind) if rounds else value.dtype
    q, k, v = (states[0].transpose(0, 1).to(dtype).contiguous() for states in (query, key, value))
    attended: Tensor = KERNEL(
        q,
        k,
        v,
        row.starts,
        row.starts,
        row.longest,
        row.longest,
        scale=scale,
        window_size=(-1, 0) if window is None else (window - 1, 0),
        **SHARED_KEYS,
    )
    return attended[None]


def why_not(asked: Iterable[Asked], device: torch.device, precision: str) -> str | None:
    """Why the kernel cannot compute what the layers ask for; None if it can.

    Args:
        asked: what the layers ask for.
        device: the device that computes.
        precision: of matrix products.
    """
    if precision != "bfloat16":
        return f"the kernel computes in bfloat16, and the precision is {precision}"
    capability = torch.cuda.get_device_capability(device)
    if capability < LEAST_CAPABILITY:
        return f"the kernel needs compute capability 8.0, and the device has {capability[0]}.{capability[1]}"
    if KERNEL is None:
        return f"torch {torch.__version__} has no torch.nn.attention.varlen"
    if "window_size" not in PARAMETERS:
        return f"torch {torch.__version__} has an earlier form of torch.nn.attention.varlen"
    layers = list(asked)
    reasons = (check(one) for check in (_unsupported, lambda one: _differs(one, device)) for one in layers)
    return next((reason for reason in reasons if reason is not None), None)


def _unsupported(asked: Asked) -> str | None:
    if asked.dropout:
        return "the model drops attention weights"
    if asked.size != asked.value_size:
        return f"heads of keys have {asked.size} dimensions and heads of values {asked.value_size}"
    if asked.size > MAX_HEAD_SIZE or asked.size % HEAD_MULTIPLE:
        return f"heads have {asked.size} dimensions; the kernel takes multiples of 8 up to 256"
    if asked.heads % asked.key_heads:
        return f"{asked.heads} query heads are no multiple of {asked.key_heads} key heads"
    return None


def _differs(asked: Asked, device: torch.device) -> str | None:
    """Compute a small row with the kernel, forwards and backwards, and compare it with attention in float32."""
    lengths = np.array([3, 70, 1, 161])
    starts, longest = boundaries_of(lengths, 256)
    row = PackedRow(torch.from_numpy(starts).to(device), longest)
    generator = torch.Generator().manual_seed(0)

    def states(heads: int) -> Tensor:
        drawn = torch.randn(1, heads, 256, asked.size, generator=generator)
        return drawn.to(device, torch.bfloat16).requires_grad_()

    inputs = states(asked.heads), states(asked.key_heads), states(asked.key_heads)
    weights = states(asked.heads).detach().transpose(1, 2)[:, : lengths.sum()].float()
    try:
        found = varlen_attention(*inputs, row, scale=asked.size**-0.5, window=asked.window)[:, : lengths.sum()]
        gradients = torch.autograd.grad((found.float() * weights).sum(), inputs)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        return f"the kernel fails on this device: {str(error).splitlines()[0]}"
    q, k, v = (tensor.detach().float().requires_grad_() for tensor in inputs)
    expected = attention_of_lone_examples(q, k, v, starts[: len(lengths) + 1], window=asked.window)
    right = torch.autograd.grad((expected * weights).sum(), (q, k, v))
    pairs = zip((found, *gradients), (expected, *right), strict=True)
    most = max(float((ours - theirs).detach().abs().max() / theirs.detach().abs().max()) for ours, theirs in pairs)
    return None if most < TOLERANCE else f"the kernel differs from attention in float32 by {most:.2g} on this device"


def attention_of_lone_examples(
    query: Tensor, key: Tensor, value: Tensor, starts: np.ndarray, *, window: int | None, scale: float | None = None
) -> Tensor:
    """Causal attention, one example after another: what the kernel is compared with.

    Args:
        query: (1, heads, N', size).
        key: (1, key heads, N', size).
        value: (1, key heads, N', size).
        starts: start of each example, then the end of the last, (S + 1,).
        window: tokens that a token attends to, itself included; None for all before it.
        scale: factor of the scores; None: 1 / sqrt(size).

    Returns:
        (1, N, heads, size), where N is the end of the last example.
    """
    attended = []
    for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        place = torch.arange(end - start, device=query.device)
        distance = place[:, None] - place
        allowed = (distance >= 0) & (distance < (end - start if window is None else window))
        q, k, v = (states[:, :, start:end] for states in (query, key, value))
        alone = scaled_dot_product_attention(
            q, k, v, attn_mask=allowed, scale=scale, enable_gqa=q.shape[1] != k.shape[1]
        )
        attended.append(alone.transpose(1, 2))
    return torch.cat(attended, dim=1)
