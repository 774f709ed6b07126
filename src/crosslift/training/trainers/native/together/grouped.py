"""Linear layers with the adapters of several runs.

The tokens of a run are consecutive, so the product with its adapter is one with a slice of the rows. On CPUs it is made
in place, slice by slice. On GPUs the products of all runs are one call of `torch.nn.functional.grouped_mm` where it has
a kernel (bfloat16, sizes that are multiples of 8); elsewhere they are made slice by slice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import grouped_mm, linear

from crosslift.errors import TrainingError

GROUP_MULTIPLE = 8
"""Sizes of bfloat16 matrices that `grouped_mm` takes are multiples of this number: 16 bytes."""


@dataclass(frozen=True)
class Adapter:
    """Matrices of a LoRA adapter for one layer: the layer adds scale * (x A^T) B^T."""

    down: torch.nn.Parameter
    """A, (rank, inputs)."""
    up: torch.nn.Parameter
    """B, (outputs, rank)."""
    scale: float


class Slices:
    """The tokens of a pass by run: the same for all layers, set before each pass."""

    def __init__(self) -> None:
        self.runs: list[int] = []
        """Runs in the order of their tokens: on CPUs those with tokens in the pass, else all."""
        self.places: list[tuple[int, int]] = []
        """First token of each, and the one after its last."""
        self.num_places = 0
        """Tokens of the row with its padding."""
        self.ends: Tensor | None = None
        """Ends of `places` on the device, int32, (runs,); None on CPUs."""

    def set(self, runs: Sequence[int], places: Sequence[tuple[int, int]], num_places: int, ends: Tensor | None) -> None:
        """Describe the next pass."""
        self.runs, self.places, self.num_places, self.ends = list(runs), list(places), num_places, ends


class GroupedLinear(torch.nn.Module):
    """A linear layer of the base model with the adapters of several runs.

    Args:
        base: the layer of the base model.
        adapters: run -> its adapter.
        slices: the tokens of the present pass.
    """

    def __init__(self, base: torch.nn.Linear, adapters: Mapping[int, Adapter], slices: Slices) -> None:
        super().__init__()
        self.base = base
        self.adapters = dict(adapters)
        self.slices = slices

    def forward(self, hidden: Tensor) -> Tensor:
        """Apply the layer: (..., N', inputs) -> (..., N', outputs)."""
        rows = hidden.flatten(0, -2)
        if not torch.compiler.is_compiling() and len(rows) != self.slices.num_places:  # a graph holds for any number
            raise TrainingError(f"a layer with an adapter receives {len(rows)} of {self.slices.num_places} tokens")
        chosen = [self.adapters[run] for run in self.slices.runs]
        if self.slices.ends is None:
            out = _OnCPU.apply(  # type: ignore[no-untyped-call]
                rows,
                self.base.weight,
                self.base.bias,
                self.slices.places,
                [one.scale for one in chosen],
                *(one.down for one in chosen),
                *(one.up for one in chosen),
            )
        else:
            out = self.base(rows)
            low = grouped_products(rows, [one.down for one in chosen], self.slices)
            added = grouped_products(low, [one.up for one in chosen], self.slices) * chosen[0].scale
            out = (out + added).to(out.dtype)
        found: Tensor = out.view(*hidden.shape[:-1], -1)
        return found


def grouped_products(rows: Tensor, weights: Sequence[Tensor], slices: Slices) -> Tensor:
    """Product of the rows of each run with its matrix.

    Args:
        rows: (N', inputs); every row belongs to a run.
        weights: a matrix of each run of the pass, (outputs, inputs).
        slices: the rows of each run.

    Returns:
        (N', outputs), in the precision of autocast if it is enabled.
    """
    kind = rows.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weights[0].dtype
    if has_grouped_kernel(dtype, weights[0]):
        stacked = torch.stack([weight.to(dtype) for weight in weights])
        return grouped_mm(rows.to(dtype), stacked.transpose(-2, -1), offs=slices.ends)
    parts = zip(slices.places, weights, strict=True)
    return torch.cat([linear(rows[start:stop].to(dtype), weight.to(dtype)) for (start, stop), weight in parts])


def has_grouped_kernel(dtype: torch.dtype, weight: Tensor) -> bool:
    """Whether `grouped_mm` takes matrices of this type and shape on GPUs."""
    return dtype == torch.bfloat16 and all(size % GROUP_MULTIPLE == 0 for size in weight.shape)


class _OnCPU(torch.autograd.Function):
    """rows W^T + b, to which the adapter of each run is added in place for its rows."""

    @staticmethod
    def forward(  # noqa: PLR0917 - autograd passes by position
        ctx: Any,
        rows: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        places: list[tuple[int, int]],
        scales: list[float],
        *adapters: Tensor,
    ) -> Tensor:
        out = linear(rows, weight, bias)
        lows = []
        for (start, stop), scale, down, up in _each(places, scales, adapters):
            low = torch.mm(rows[start:stop], down.T)
            out[start:stop].addmm_(low, up.T, alpha=scale)
            lows.append(low)
        ctx.save_for_backward(rows, weight, *lows, *adapters)
        ctx.places, ctx.scales = places, scales
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        rows, weight, *rest = ctx.saved_tensors
        grad, number = grads[0].contiguous(), len(ctx.places)
        lows, adapters = rest[:number], rest[number:]
        grad_rows = torch.mm(grad, weight) if ctx.needs_input_grad[0] else None
        grad_downs, grad_ups = [], []
        for low, ((start, stop), scale, down, up) in zip(lows, _each(ctx.places, ctx.scales, adapters), strict=True):
            part = grad[start:stop]
            grad_ups.append(torch.mm(part.T, low).mul_(scale))
            grad_low = torch.mm(part, up).mul_(scale)
            grad_downs.append(torch.mm(grad_low.T, rows[start:stop]))
            if grad_rows is not None:
                grad_rows[start:stop].addmm_(grad_low, down)
        return grad_rows, None, None, None, None, *grad_downs, *grad_ups


def _each(
    places: list[tuple[int, int]], scales: list[float], adapters: Sequence[Tensor]
) -> Iterator[tuple[tuple[int, int], float, Tensor, Tensor]]:
    number = len(places)
    return zip(places, scales, adapters[:number], adapters[number:], strict=True)
