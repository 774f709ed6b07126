"""Attention for examples that lie end to end in one row.

Transformers lets a model's attention be replaced by name, after positions are encoded and before the output projection,
and passes unknown keyword arguments of `model(...)` through to it: that is how the borders of the examples arrive here.
Nothing else of the model changes.

On GPUs torch's own kernel does the rest. On CPUs it does not: its blocks are made for long sequences, and plain
products of matrices, one per example and head, are faster for the short ones of fine-tuning, the more so in bfloat16.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from crosslift.errors import TrainingError

NAME = "crosslift_packed"

NUM_SCORES = 1 << 18
"""Attention scores computed at once on a CPU: 1 MiB, so that they stay in its second cache."""

MAX_KEPT = 1 << 24
"""Scores of a layer that are kept for the backward pass on a CPU; beyond 64 MiB they are computed again."""


class Borders:
    """The way from the row to the rectangle and back; see `packing.ForwardPass`."""

    def __init__(self, *, to_rectangle: Tensor, to_row: Tensor, lengths: Tensor, num_places: int) -> None:
        self.num_lines = len(lengths)
        self.width = len(to_rectangle) // len(lengths)
        self.num_tokens = len(to_row)
        self._to_rectangle = to_rectangle.view(self.num_lines, 1, self.width)
        # Behind the last token the row may be filled up; those places get the output of cell 0, which nobody reads.
        self._to_row = torch.nn.functional.pad(to_row, (0, num_places - self.num_tokens))
        self._heads: dict[int, tuple[Tensor, Tensor]] = {}
        inside = torch.arange(self.width, device=lengths.device) < lengths[:, None]
        self._lengths = lengths.tolist()
        self.inside = inside[:, None, :, None].to(torch.float32)  # (B, 1, M, 1)

    def of_heads(self, heads: int) -> tuple[Tensor, Tensor]:
        """Both index arrays where every token has several heads: (B * heads * M,) and (N * heads,)."""
        if heads not in self._heads:
            head = torch.arange(heads, device=self._to_row.device)
            line, place = self._to_row // self.width, self._to_row % self.width
            self._heads[heads] = (
                (self._to_rectangle * heads + head[:, None]).flatten(),
                ((line[:, None] * heads + head) * self.width + place[:, None]).flatten(),
            )
        return self._heads[heads]

    def parts(self, heads: int) -> list[tuple[slice, int]]:
        """Lines whose scores make about NUM_SCORES, with the width that they need."""
        parts, start = [], 0
        while start < self.num_lines:
            width = self._lengths[start]
            stop = start + 1
            while stop < self.num_lines:
                wider = max(width, self._lengths[stop])
                if (stop + 1 - start) * heads * wider**2 > NUM_SCORES:
                    break
                width, stop = wider, stop + 1
            parts.append((slice(start, stop), min(self.width, -(-width // 8) * 8)))
            start = stop
        return parts


def register() -> str:
    """Make the attention known to transformers and return its name."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, packed_attention)
    return NAME


def packed_attention(
    module: torch.nn.Module,
    query: Tensor,  # (1, heads, N, head size)
    key: Tensor,  # (1, key heads, N, head size)
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    borders: Borders,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Causal attention within each example. Returns (1, N, heads, head size)."""
    if softcap is not None or s_aux is not None:
        raise TrainingError(
            f"{type(module).__name__} caps its attention scores or has attention sinks, which packing does not know. "
            "Set packing = false under [training]."
        )
    query, key, value = (_Rectangle.apply(t, borders) for t in (query, key, value))  # type: ignore[no-untyped-call]
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    window = sliding_window if sliding_window is not None and sliding_window < borders.width else None
    if _on_cpu(query, dropout):
        attended = _CPUAttention.apply(query, key, value, borders, window, scale)  # type: ignore[no-untyped-call]
    else:
        attended = scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=None if window is None else _allowed(borders.width, window, query.device),
            dropout_p=dropout,
            is_causal=window is None,
            scale=scale,
            enable_gqa=query.shape[1] != key.shape[1],
        )
    return _Row.apply(attended, borders), None  # type: ignore[no-untyped-call]


def _on_cpu(query: Tensor, dropout: float) -> bool:
    return query.device.type == "cpu" and dropout == 0.0


def _allowed(width: int, window: int | None, device: torch.device) -> Tensor:
    """Which place (line) may look at which (column): bool, (M, M)."""
    place = torch.arange(width, device=device)
    distance = place[:, None] - place
    return distance >= 0 if window is None else (distance >= 0) & (distance < window)


class _Rectangle(torch.autograd.Function):
    """(1, heads, N, size) -> (B, heads, M, size).

    Written out because each token has exactly one cell: the gradient is a lookup, too, where autograd would fill an
    array with zeros and add into it.
    """

    @staticmethod
    def forward(ctx: Any, row: Tensor, borders: Borders) -> Tensor:
        heads, size = row.shape[1], row.shape[3]
        ctx.borders, ctx.heads = borders, heads
        cells = row[0].transpose(0, 1).reshape(-1, size).index_select(0, borders.of_heads(heads)[0])
        return cells.view(borders.num_lines, heads, borders.width, size)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        size = grads[0].shape[3]
        row = grads[0].reshape(-1, size).index_select(0, ctx.borders.of_heads(ctx.heads)[1]).view(-1, ctx.heads, size)
        row[ctx.borders.num_tokens :] = 0
        return row.transpose(0, 1)[None], None


class _Row(torch.autograd.Function):
    """(B, heads, M, size) -> (1, N, heads, size)."""

    @staticmethod
    def forward(ctx: Any, rectangle: Tensor, borders: Borders) -> Tensor:
        heads, size = rectangle.shape[1], rectangle.shape[3]
        ctx.borders = borders
        return rectangle.reshape(-1, size).index_select(0, borders.of_heads(heads)[1]).view(1, -1, heads, size)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        borders: Borders = ctx.borders
        heads, size = grads[0].shape[2:]
        cells = grads[0].reshape(-1, size).index_select(0, borders.of_heads(heads)[0])
        rectangle = cells.view(borders.num_lines, heads, borders.width, size)
        return rectangle.mul_(borders.inside), None  # padding repeats a token and must not repeat its gradient


class _CPUAttention(torch.autograd.Function):
    """softmax(q k^T) v as products of matrices, (B, heads, M, size), a few examples at a time.

    A few, because their scores then stay in the processor's cache, and because examples that stand together are of like
    length: only the longest of them is as wide as its part. Query heads that share a key are one matrix.
    """

    @staticmethod
    def forward(  # noqa: PLR0917 - autograd passes by position
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, borders: Borders, window: int | None, scale: float
    ) -> Tensor:
        ctx.parts = borders.parts(query.shape[1])
        ctx.scale, ctx.window = scale, window
        ctx.save_for_backward(query, key, value)
        ctx.probabilities = []
        keep = sum((part.stop - part.start) * width**2 for part, width in ctx.parts) * query.shape[1] <= MAX_KEPT
        attended = query.new_zeros(*query.shape[:3], value.shape[3])
        for part, width in ctx.parts:
            q, k, v = (_matrices(t, key.shape[1], part, width) for t in (query, key, value))
            probabilities = _probabilities(q, k, window, scale)
            if keep:
                ctx.probabilities.append(probabilities)
            attended[part, :, :width] = torch.bmm(probabilities, v).view(-1, query.shape[1], width, value.shape[3])
        return attended

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value = ctx.saved_tensors
        heads, key_heads = query.shape[1], key.shape[1]
        grad_query, grad_key, grad_value = (torch.zeros_like(t) for t in (query, key, value))
        for i, (part, width) in enumerate(ctx.parts):
            q, k, v = (_matrices(t, key_heads, part, width) for t in (query, key, value))
            grad = _matrices(grads[0], key_heads, part, width)
            kept = ctx.probabilities[i] if ctx.probabilities else _probabilities(q, k, ctx.window, ctx.scale)
            grad_value[part, :, :width] = torch.bmm(kept.transpose(1, 2), grad).view(-1, key_heads, width, v.shape[2])
            scores = torch._softmax_backward_data(torch.bmm(grad, v.transpose(1, 2)), kept, -1, torch.float32)
            scores *= ctx.scale
            grad_query[part, :, :width] = torch.bmm(scores, k).view(-1, heads, width, q.shape[2])
            grad_key[part, :, :width] = torch.bmm(scores.transpose(1, 2), q).view(-1, key_heads, width, k.shape[2])
        return grad_query, grad_key, grad_value, None, None, None


def _matrices(tensor: Tensor, key_heads: int, part: slice, width: int) -> Tensor:
    """(B, heads, M, size) -> (examples * key heads, heads per key head * width, size) of a part."""
    return tensor[part, :, :width].reshape(-1, tensor.shape[1] // key_heads * width, tensor.shape[3])


def _probabilities(query: Tensor, key: Tensor, window: int | None, scale: float) -> Tensor:
    width = key.shape[1]
    bias = torch.zeros(width, width).masked_fill_(~_allowed(width, window, query.device), float("-inf"))
    bias = bias.repeat(query.shape[1] // width, 1)
    return torch.baddbmm(bias, query, key.transpose(1, 2), alpha=scale).softmax(-1)
