"""Attention for examples that lie end to end in one row.

Transformers lets a model's attention be replaced by name, after positions are encoded and before the output projection,
and passes unknown keyword arguments of `model(...)` through to it: that is how the borders of the examples arrive here.
Nothing else of the model changes, and no mask is ever built for what is not shorter than the sliding window.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from crosslift.errors import TrainingError

NAME = "crosslift_packed"


@dataclass(frozen=True, kw_only=True)
class Borders:
    """Row to rectangle and back; see `packing.ForwardPass`."""

    to_rectangle: Tensor
    to_row: Tensor
    shape: tuple[int, int]


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
    lines, width = borders.shape
    kind = query.dtype if query.is_cuda else torch.float32

    def rectangle(tensor: Tensor) -> Tensor:
        """(1, heads, N, size) -> (B, heads, M, size)."""
        flat = tensor[0].transpose(0, 1).reshape(tensor.shape[2], -1)
        cells = flat.index_select(0, borders.to_rectangle)
        return cells.view(lines, width, tensor.shape[1], tensor.shape[3]).transpose(1, 2).to(kind)

    mask = None
    if sliding_window is not None and width > sliding_window:
        place = torch.arange(width, device=query.device)
        distance = place[:, None] - place
        mask = (distance >= 0) & (distance < sliding_window)
    attended = scaled_dot_product_attention(
        rectangle(query),
        rectangle(key),
        rectangle(value),
        attn_mask=mask,
        dropout_p=dropout,
        is_causal=mask is None,
        scale=scaling,
        enable_gqa=query.shape[1] != key.shape[1],
    )
    heads, size = query.shape[1], value.shape[3]
    cells = attended.transpose(1, 2).reshape(lines * width, heads * size)
    return cells.index_select(0, borders.to_row).view(1, -1, heads, size).to(query.dtype), None
