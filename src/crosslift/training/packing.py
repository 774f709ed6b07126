"""Where the tokens of a forward pass lie, as arrays, before torch comes in.

Packed: all examples end to end in one row, positions starting again with each. The linear layers, which take nearly
all the time, then see no padding; attention alone must know the borders. The usual other way, one long row under a
block-diagonal mask, spends time and memory on the square of the row's length to find out that most of it is masked.

Padded: one line per example, filled up at the right. In a causal model nothing at the right can reach what is left of
it, so no mask is needed either.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crosslift.training.trainer import TokenTable


@dataclass(frozen=True, kw_only=True)
class ForwardPass:
    """One micro-batch. N tokens, B examples, the longest of M tokens, K tokens that carry loss. N', M' and K' are
    rounded up: matrix libraries prepare a kernel for every shape they meet, and most batches would be a new one."""

    ids: np.ndarray  # int64, (1, N') packed, (B, M') padded
    positions: np.ndarray  # int64, same shape
    lengths: np.ndarray  # int64, (B,)
    where: np.ndarray  # int64, (K',): places, in ids flattened, whose output predicts a token; the first K carry loss
    targets: np.ndarray  # int64, (K',): those tokens
    cells: np.ndarray  # int16, (K,): language * num_tasks + task of a completion's token, -1 for a prompt's
    num_tokens: int  # N


PLACES = 64
WIDTH = 8
"""What N' and K', and M', are multiples of."""


def forward_pass(examples: TokenTable, rows: np.ndarray, *, packed: bool, loss_on_prompt: bool = False) -> ForwardPass:
    """Lay out the examples of these rows.

    A token carries loss if it belongs to the completion (or anything but the first, if `loss_on_prompt`); it is
    predicted at the place before it, so the first token of an example without prompt never does.
    """
    lengths = examples.lengths[rows]
    num_rows, width, num_tokens = len(rows), rounded(int(lengths.max()), WIDTH), int(lengths.sum())
    starts = np.cumsum(lengths) - lengths
    line = np.repeat(np.arange(num_rows), lengths)
    positions = np.arange(num_tokens) - starts[line]
    ids = examples.ids[examples.offsets[rows][line] + positions].astype(np.int64)
    cell = line * width + positions

    first_loss = np.maximum(1, np.zeros_like(lengths) if loss_on_prompt else examples.prompt_lengths[rows])
    carries = positions >= first_loss[line]
    group = examples.language[rows].astype(np.int64) * len(examples.tasks) + examples.task[rows]
    groups = np.where(positions >= examples.prompt_lengths[rows][line], group[line], -1)

    places = np.arange(num_tokens) if packed else cell
    rest = {
        "lengths": lengths,
        "where": _filled(places[carries] - 1),
        "targets": _filled(ids[carries]),
        "cells": groups[carries].astype(np.int16),
        "num_tokens": num_tokens,
    }
    if packed:
        return ForwardPass(ids=_filled(ids)[None], positions=_filled(positions)[None], **rest)
    rectangle = np.zeros(num_rows * width, np.int64)
    rectangle[cell] = ids
    steps = np.tile(np.arange(width), (num_rows, 1))
    return ForwardPass(ids=rectangle.reshape(num_rows, width), positions=steps, **rest)


def rounded(number: int, multiple: int) -> int:
    """Upwards."""
    return -(-number // multiple) * multiple


def _filled(array: np.ndarray) -> np.ndarray:
    return np.pad(array, (0, rounded(len(array), PLACES) - len(array)))
