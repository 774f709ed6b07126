"""Attention over packed sequences.

Transformers can replace a model's attention function by name, after the rotary embedding and before the output
projection, and passes unknown keyword arguments of `model(...)` through to it; the sequence boundaries arrive that way.
Nothing else in the model changes. Queries, keys and values are gathered from the packed row into padded blocks (one row
per example and head), attention is computed there, and the result is scattered back.

On GPUs a kernel for sequences of different length computes the row as it is (`gpu.varlen`); where it cannot, torch's
scaled dot-product attention computes all examples in one block. On CPUs the tiles of the latter are made for long
sequences; plain matrix products over a few examples at a time are faster for the short sequences of fine-tuning,
particularly in bfloat16.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from crosslift.errors import TrainingError
from crosslift.training.packing import WIDTH_MULTIPLE, round_up
from crosslift.training.trainers.native.gpu.varlen import Asked, PackedRow, varlen_attention

NAME = "crosslift_packed"

MAX_SCORES_PER_BLOCK = 1 << 18
"""Attention scores that a CPU computes at once: 1 MiB, which fits into the L2 cache. Consecutive examples have similar
lengths, so each block has little padding."""

_ALWAYS_TORCH = False

MAX_SAVED_SCORES = 1 << 24
"""Attention scores per layer that are saved for the backward pass on a CPU; above 64 MiB they are recomputed."""


class SequenceBoundaries:
    """Boundaries of the examples in a packed row, and the index maps between the row and padded blocks."""

    def __init__(self, lengths: np.ndarray, num_places: int, device: torch.device) -> None:
        """Describe a packed row.

        Args:
            lengths: tokens of each example, int64, (B,).
            num_places: length of the row with its padding, N'.
            device: device of the index maps.
        """
        self._lengths = lengths
        self._starts = np.cumsum(lengths) - lengths
        self._num_places = num_places
        self._device = device
        self._blocks: list[tuple[int, int, int]] = []
        self._maps: dict[int, tuple[Tensor, Tensor, Tensor]] = {}
        self.num_tokens = int(lengths.sum())

    def padded_blocks(self, heads: int) -> list[tuple[int, int, int]]:
        """The blocks, each as (index of the first example, number of examples, width in tokens).

        Args:
            heads: number of query heads.
        """
        if not self._blocks:
            first, limit = 0, MAX_SCORES_PER_BLOCK // heads if self._device.type == "cpu" else np.inf
            while first < len(self._lengths):
                widths = np.maximum.accumulate(self._lengths[first:])
                num_lines = max(1, int((np.arange(1, len(widths) + 1) * widths**2 <= limit).sum()))
                self._blocks.append((first, num_lines, round_up(int(widths[num_lines - 1]), WIDTH_MULTIPLE)))
                first += num_lines
        return self._blocks

    def index_maps(self, heads: int, query_heads: int) -> tuple[Tensor, Tensor, Tensor]:
        """Index maps between the packed row and the padded blocks.

        A cell is one (block, example, head, position); C is the number of cells.

        Args:
            heads: number of heads of the tensor to move (query or key heads).
            query_heads: number of query heads, which determines the blocks.

        Returns:
            The index (token * heads + head) in the row for each cell, (C,); the index of the cell for each token and
            head, (N' * heads,), 0 in the row's padding; and a mask of the cells, 1 for a token and 0 for padding,
            float32, (C, 1).
        """
        if heads not in self._maps:
            head, cells, tokens, inside, before = np.arange(heads), [], [], [], 0
            for first, num_lines, width in self.padded_blocks(query_heads):
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
            to_cells, to_row, holds = (self._on_device(array) for array in arrays)
            self._maps[heads] = to_cells, to_row, holds[:, None].to(torch.float32)
        return self._maps[heads]

    def _on_device(self, array: np.ndarray) -> Tensor:
        """Copy an array to the device; a GPU copies from page-locked memory, for which the machine need not wait."""
        tensor = torch.from_numpy(array)
        return (tensor.pin_memory() if self._device.type == "cuda" else tensor).to(self._device, non_blocking=True)


class Survey(SequenceBoundaries):
    """Boundaries that also record what the layers ask of attention."""

    def __init__(self, lengths: np.ndarray, num_places: int, device: torch.device) -> None:
        super().__init__(lengths, num_places, device)
        self.asked: set[Asked] = set()


def register() -> str:
    """Register `packed_attention` with transformers and return its name."""
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
    boundaries: SequenceBoundaries | PackedRow,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Causal attention within each example of a packed row.

    The signature is that of transformers' `AttentionInterface`; N' is the length of the padded row.

    Returns:
        Attention output, (1, N', heads, size), and None for the attention weights.

    Raises:
        TrainingError: the model caps its attention scores or uses attention sinks.
    """
    if softcap is not None or s_aux is not None:
        raise TrainingError(
            f"{type(module).__name__} caps its attention scores or has attention sinks, which packing does not "
            "support. Set packing = false under [training]."
        )
    heads, key_heads = query.shape[1], key.shape[1]
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if isinstance(boundaries, PackedRow):
        return varlen_attention(query, key, value, boundaries, scale=scale, window=sliding_window), None
    if isinstance(boundaries, Survey):
        sizes = {"heads": heads, "key_heads": key_heads, "size": query.shape[3], "value_size": value.shape[3]}
        boundaries.asked.add(Asked(**sizes, window=sliding_window, dropout=dropout))
    kind = query.dtype
    if kind == torch.bfloat16 and query.device.type == "cpu":  # of bfloat16 weights; few CPUs gain from it here
        query, key, value = query.float(), key.float(), value.float()
    query, key, value = (_ToCells.apply(t, boundaries, heads) for t in (query, key, value))  # type: ignore[no-untyped-call]
    shapes = boundaries.padded_blocks(heads)
    if query.device.type == "cpu" and dropout == 0.0 and not _ALWAYS_TORCH:
        attended = _CPUAttention.apply(query, key, value, shapes, key_heads, sliding_window, scale)  # type: ignore[no-untyped-call]
    else:
        attended = _torch_attention(query, key, value, shapes, window=sliding_window, dropout=dropout, scale=scale)
    row: Tensor = _ToRow.apply(attended, boundaries, heads)  # type: ignore[no-untyped-call]
    return row.to(kind) if query.device.type == "cpu" else row, None


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
    """Split the cells by block."""
    heads = len(cells) // sum(num_lines * width for _, num_lines, width in shapes)
    return list(torch.split(cells, [num_lines * heads * width for _, num_lines, width in shapes]))


def _allowed(width: int, window: int | None, device: torch.device) -> Tensor:
    """Attention mask: True where the query position (row) may attend to the key position (column); bool, (M, M)."""
    place = torch.arange(width, device=device)
    distance = place[:, None] - place
    return distance >= 0 if window is None else (distance >= 0) & (distance < window)


class _ToCells(torch.autograd.Function):
    """Gather from the packed row into cells: (1, heads, N', size) -> (C, size).

    The gradient is explicit: each token has exactly one cell, so it is a gather too, while autograd would allocate an
    array of zeros and add into it.
    """

    @staticmethod
    def forward(ctx: Any, row: Tensor, boundaries: SequenceBoundaries, query_heads: int) -> Tensor:
        heads, size = row.shape[1], row.shape[3]
        to_cells, ctx.to_row, _ = boundaries.index_maps(heads, query_heads)
        ctx.num_tokens, ctx.heads = boundaries.num_tokens, heads
        return row[0].transpose(0, 1).reshape(-1, size).index_select(0, to_cells)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        row = grads[0].index_select(0, ctx.to_row).view(-1, ctx.heads, grads[0].shape[1])
        row[ctx.num_tokens :] = 0
        return row.transpose(0, 1)[None], None, None


class _ToRow(torch.autograd.Function):
    """Scatter from the cells back into the packed row: (C, size) -> (1, N', heads, size)."""

    @staticmethod
    def forward(ctx: Any, cells: Tensor, boundaries: SequenceBoundaries, heads: int) -> Tensor:
        ctx.to_cells, to_row, ctx.inside = boundaries.index_maps(heads, heads)
        return cells.index_select(0, to_row).view(1, -1, heads, cells.shape[1])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        cells = grads[0].reshape(-1, grads[0].shape[3]).index_select(0, ctx.to_cells)
        return cells.mul_(ctx.inside), None, None  # padding repeats a token and must not repeat its gradient


class _CPUAttention(torch.autograd.Function):
    """softmax(q k^T) v as batched matrix products, (C, size). Query heads that share a key head form one matrix."""

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
            if num_scores <= MAX_SAVED_SCORES:
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
    """Views of the cells of each block as (examples * key heads, query heads per key head * width, size)."""
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
