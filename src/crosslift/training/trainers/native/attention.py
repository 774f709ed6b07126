"""Attention for examples that lie end to end in one row.

Transformers lets a model's attention be replaced by name, after positions are encoded and before the output projection,
and passes unknown keyword arguments of `model(...)` through to it: that is how the borders of the examples arrive here.
Nothing else of the model changes. Queries, keys and values are gathered from the row into rectangles (one line per
example and head), attend there, and go back.

On GPUs torch's own kernel does that, in one rectangle. On CPUs it does not: its blocks are made for long sequences, and
plain products of matrices, a few examples at a time, are faster for the short ones of fine-tuning, the more so in
bfloat16.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from crosslift.errors import TrainingError
from crosslift.training.packing import WIDTH, rounded

NAME = "crosslift_packed"

NUM_SCORES = 1 << 18
"""Attention scores computed at once on a CPU: 1 MiB, so that they stay in its second cache. Neighbours are of like
length, so each rectangle is little wider than its lines."""

_ALWAYS_TORCH = False

MAX_KEPT = 1 << 24
"""Scores of a layer that are kept for the backward pass on a CPU; beyond 64 MiB they are computed again."""


class SequenceBoundaries:
    """The way from the row to the rectangles and back."""

    def __init__(self, lengths: np.ndarray, num_places: int, device: torch.device) -> None:
        self._lengths = lengths
        self._starts = np.cumsum(lengths) - lengths
        self._num_places = num_places
        self._device = device
        self._rectangles: list[tuple[int, int, int]] = []
        self._ways: dict[int, tuple[Tensor, Tensor, Tensor]] = {}
        self.num_tokens = int(lengths.sum())

    def rectangles(self, heads: int) -> list[tuple[int, int, int]]:
        """First line, number of lines, width. `heads`: of the queries."""
        if not self._rectangles:
            first, limit = 0, NUM_SCORES // heads if self._device.type == "cpu" else np.inf
            while first < len(self._lengths):
                widths = np.maximum.accumulate(self._lengths[first:])
                num_lines = max(1, int((np.arange(1, len(widths) + 1) * widths**2 <= limit).sum()))
                self._rectangles.append((first, num_lines, rounded(int(widths[num_lines - 1]), WIDTH)))
                first += num_lines
        return self._rectangles

    def way(self, heads: int, query_heads: int) -> tuple[Tensor, Tensor, Tensor]:
        """For each cell (rectangle, line, head, place) its token and head in the row: (C,); for each token and head its
        cell: (N' * heads,), 0 where the row is filled up; and 1 for cells that hold a token, 0 for padding: (C, 1)."""
        if heads not in self._ways:
            head, cells, tokens, inside, before = np.arange(heads), [], [], [], 0
            for first, num_lines, width in self.rectangles(query_heads):
                lines, place = slice(first, first + num_lines), np.arange(width)
                lengths = self._lengths[lines, None]
                token = self._starts[lines, None] + np.minimum(place, lengths - 1)  # padding repeats the last token
                cells.append((token[:, None] * heads + head[:, None]).ravel())
                valid = place < lengths
                inside.append(np.repeat(valid[:, None], heads, axis=1).ravel())
                corner = before + np.arange(num_lines)[:, None] * heads * width + place
                tokens.append((corner[valid][:, None] + head * width).ravel())
                before += num_lines * heads * width
            filled = np.zeros((self._num_places - self.num_tokens) * heads, np.int64)
            arrays = np.concatenate(cells), np.concatenate([*tokens, filled]), np.concatenate(inside)
            to_cells, to_row, holds = (torch.from_numpy(array).to(self._device) for array in arrays)
            self._ways[heads] = to_cells, to_row, holds[:, None].to(torch.float32)
        return self._ways[heads]


def register() -> str:
    """Make the attention known to transformers and return its name."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, packed_attention)
    return NAME


def packed_attention(
    module: torch.nn.Module,
    query: Tensor,  # (1, heads, N', size)
    key: Tensor,  # (1, key heads, N', size)
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    borders: SequenceBoundaries,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Causal attention within each example. Returns (1, N', heads, size)."""
    if softcap is not None or s_aux is not None:
        raise TrainingError(
            f"{type(module).__name__} caps its attention scores or has attention sinks, which packing does not know. "
            "Set packing = false under [training]."
        )
    heads, key_heads = query.shape[1], key.shape[1]
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    query, key, value = (_ToCells.apply(t, borders, heads) for t in (query, key, value))  # type: ignore[no-untyped-call]
    shapes = borders.rectangles(heads)
    if query.device.type == "cpu" and dropout == 0.0 and not _ALWAYS_TORCH:
        attended = _CPUAttention.apply(query, key, value, shapes, key_heads, sliding_window, scale)  # type: ignore[no-untyped-call]
    else:
        attended = _torch_attention(query, key, value, shapes, window=sliding_window, dropout=dropout, scale=scale)
    return _ToRow.apply(attended, borders, heads), None  # type: ignore[no-untyped-call]


def _torch_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    shapes: list[tuple[int, int, int]],
    *,
    window: int | None,
    dropout: float,
    scale: float,
) -> Tensor:
    attended = []
    for (_, num_lines, width), q, k, v in zip(shapes, *(_pieces(t, shapes) for t in (query, key, value)), strict=True):
        limited = window is not None and window < width
        rectangle = scaled_dot_product_attention(
            q.view(num_lines, -1, width, q.shape[1]),
            k.view(num_lines, -1, width, k.shape[1]),
            v.view(num_lines, -1, width, v.shape[1]),
            attn_mask=_allowed(width, window, query.device) if limited else None,
            dropout_p=dropout,
            is_causal=not limited,
            scale=scale,
            enable_gqa=len(q) != len(k),
        )
        attended.append(rectangle.reshape(-1, v.shape[1]))
    return torch.cat(attended)


def _pieces(cells: Tensor, shapes: list[tuple[int, int, int]]) -> list[Tensor]:
    """The cells of each rectangle."""
    heads = len(cells) // sum(num_lines * width for _, num_lines, width in shapes)
    return list(torch.split(cells, [num_lines * heads * width for _, num_lines, width in shapes]))


def _allowed(width: int, window: int | None, device: torch.device) -> Tensor:
    """Which place (line) may look at which (column): bool, (M, M)."""
    place = torch.arange(width, device=device)
    distance = place[:, None] - place
    return distance >= 0 if window is None else (distance >= 0) & (distance < window)


class _ToCells(torch.autograd.Function):
    """(1, heads, N', size) -> (C, size).

    Written out because each token has exactly one cell: the gradient is a lookup, too, where autograd would fill an
    array with zeros and add into it.
    """

    @staticmethod
    def forward(ctx: Any, row: Tensor, borders: SequenceBoundaries, query_heads: int) -> Tensor:
        heads, size = row.shape[1], row.shape[3]
        to_cells, ctx.to_row, _ = borders.way(heads, query_heads)
        ctx.num_tokens, ctx.heads = borders.num_tokens, heads
        return row[0].transpose(0, 1).reshape(-1, size).index_select(0, to_cells)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        row = grads[0].index_select(0, ctx.to_row).view(-1, ctx.heads, grads[0].shape[1])
        row[ctx.num_tokens :] = 0
        return row.transpose(0, 1)[None], None, None


class _ToRow(torch.autograd.Function):
    """(C, size) -> (1, N', heads, size)."""

    @staticmethod
    def forward(ctx: Any, cells: Tensor, borders: SequenceBoundaries, heads: int) -> Tensor:
        ctx.to_cells, to_row, ctx.inside = borders.way(heads, heads)
        return cells.index_select(0, to_row).view(1, -1, heads, cells.shape[1])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        cells = grads[0].reshape(-1, grads[0].shape[3]).index_select(0, ctx.to_cells)
        return cells.mul_(ctx.inside), None, None  # padding repeats a token and must not repeat its gradient


class _CPUAttention(torch.autograd.Function):
    """softmax(q k^T) v as products of matrices, (C, size). Query heads that share a key are one matrix."""

    @staticmethod
    def forward(  # noqa: PLR0917 - autograd passes by position
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        shapes: list[tuple[int, int, int]],
        key_heads: int,
        window: int | None,
        scale: float,
    ) -> Tensor:
        ctx.save_for_backward(query, key, value)
        ctx.shapes, ctx.key_heads = shapes, key_heads
        ctx.window, ctx.scale = window, scale
        ctx.probabilities = []
        num_scores = sum(num_lines * width**2 for _, num_lines, width in shapes) * key_heads * len(query) // len(key)
        attended = query.new_empty(len(query), value.shape[1])
        for q, k, v, out in _matrices(shapes, key_heads, query, key, value, attended):
            probabilities = _probabilities(q, k, window, scale)
            torch.bmm(probabilities, v, out=out)
            if num_scores <= MAX_KEPT:
                ctx.probabilities.append(probabilities)
        return attended

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors
        gradients = [torch.empty_like(tensor) for tensor in saved]
        parts = _matrices(ctx.shapes, ctx.key_heads, *saved, grads[0].contiguous(), *gradients)
        for i, (q, k, v, grad, grad_q, grad_k, grad_v) in enumerate(parts):
            kept = ctx.probabilities[i] if ctx.probabilities else _probabilities(q, k, ctx.window, ctx.scale)
            torch.bmm(kept.transpose(1, 2), grad, out=grad_v)
            scores = torch._softmax_backward_data(torch.bmm(grad, v.transpose(1, 2)), kept, -1, torch.float32)
            torch.baddbmm(grad_q, scores, k, beta=0, alpha=ctx.scale, out=grad_q)
            torch.baddbmm(grad_k, scores.transpose(1, 2), q, beta=0, alpha=ctx.scale, out=grad_k)
        return *gradients, None, None, None, None


def _matrices(shapes: list[tuple[int, int, int]], key_heads: int, *tensors: Tensor) -> list[tuple[Tensor, ...]]:
    """Of each rectangle, views of its cells as (lines * key heads, heads per key head * width, size)."""
    views = [
        [
            piece.view(num_lines * key_heads, -1, cells.shape[1])
            for piece, (_, num_lines, _) in zip(_pieces(cells, shapes), shapes, strict=True)
        ]
        for cells in tensors
    ]
    return list(zip(*views, strict=True))


def _probabilities(query: Tensor, key: Tensor, window: int | None, scale: float) -> Tensor:
    width = key.shape[1]
    bias = torch.zeros(width, width).masked_fill_(~_allowed(width, window, query.device), float("-inf"))
    bias = bias.repeat(query.shape[1] // width, 1)
    return torch.baddbmm(bias, query, key.transpose(1, 2), alpha=scale).softmax(-1)
