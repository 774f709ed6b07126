"""The passes of a step of several runs: which micro-batches share one, and how they are laid out in its row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from crosslift.training.packing import LENGTH_MULTIPLE, MicroBatch, join_micro_batches
from crosslift.training.trainers.native.gpu.transfers import HostBatch


@dataclass(frozen=True, kw_only=True)
class JointPass:
    """Micro-batches of several runs, laid out as one row."""

    parts: list[tuple[int, MicroBatch]]
    """Runs and their micro-batches, in the order of the row."""
    row: MicroBatch | HostBatch
    num_places: int
    """Tokens of the row with its padding."""
    runs: list[int]
    """Those of `grouped.Slices`, as are the next."""
    places: list[tuple[int, int]]
    shares: Tensor
    """Factor of each token's loss, float32, (K,), on a GPU (K'): one over the tokens of the run's step."""
    ends: Tensor | None


Step = tuple[dict[int, np.ndarray], list[JointPass]]
"""A step of all runs: index -> indices of its examples; and the passes."""


def lay_out(
    parts: list[tuple[int, MicroBatch]], totals: Mapping[int, int] | None, grouped: Sequence[int] | None
) -> JointPass:
    """Lay out micro-batches as one row.

    Args:
        parts: runs and their micro-batches; those of a run are consecutive.
        totals: run -> tokens under the loss mask of its step; None: 1.
        grouped: all runs, in the order of `parts`, if one product is made for their adapters, with or without tokens;
            None if products are made run by run.
    """
    row, places = join_micro_batches([one for _, one in parts], multiple=1 if grouped is None else LENGTH_MULTIPLE)
    runs, ends = [index for index, _ in parts], None
    if grouped is not None:
        stops = {index: stop for index, (_, stop) in zip(runs, places, strict=True)}
        runs, places, stop = list(grouped), [], 0
        for index in runs:
            start, stop = stop, stops.get(index, stop)
            places.append((start, stop))
        ends = torch.from_numpy(np.array([stop for _, stop in places], np.int32))
    factors = np.array([1.0 if totals is None else 1.0 / totals[index] for index, _ in parts], np.float32)
    shares = np.repeat(factors, [len(one.cells) for _, one in parts])
    return JointPass(
        parts=parts,
        row=row,
        num_places=row.ids.shape[1],
        runs=runs,
        places=places,
        shares=torch.from_numpy(shares),
        ends=ends,
    )


def divide(batches: list[tuple[int, MicroBatch]], limit: int) -> list[list[tuple[int, MicroBatch]]]:
    """Divide micro-batches among passes: the largest first, each to the first pass in which it has room.

    Args:
        batches: runs and their micro-batches.
        limit: tokens of a pass; a larger micro-batch gets a pass of its own.

    Returns:
        The passes; in each, the micro-batches of a run are consecutive.
    """
    passes: list[tuple[int, list[tuple[int, MicroBatch]]]] = []
    for index, one in sorted(batches, key=lambda pair: -pair[1].num_tokens):
        place = next((i for i, (tokens, _) in enumerate(passes) if tokens + one.num_tokens <= limit), None)
        if place is None:
            passes.append((one.num_tokens, [(index, one)]))
        else:
            passes[place] = passes[place][0] + one.num_tokens, [*passes[place][1], (index, one)]
    return [sorted(content, key=lambda pair: pair[0]) for _, content in passes]
