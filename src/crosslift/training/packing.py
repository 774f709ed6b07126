"""Layout of a micro-batch as packed or padded sequences, in numpy arrays.

Packed: all examples are concatenated in one row, and position ids restart at each example. The linear layers, which
take nearly all of the time, then process no padding, and only attention needs the sequence boundaries. The common
alternative, one row with a block-diagonal attention mask, costs time and memory quadratic in the length of the row,
most of it for masked scores.

Padded: one row per example, padded on the right. In a causal model no token attends to its right, so this layout needs
no attention mask either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crosslift.training.trainer import TokenTable


@dataclass(frozen=True, kw_only=True)
class MicroBatch:
    """The arrays of one micro-batch.

    N is the number of tokens, B the number of examples, M the length of the longest and K the number of tokens under
    the loss mask. N', M' and K' are rounded up to a multiple: matrix libraries prepare a kernel for every new shape,
    and without rounding most micro-batches would have one.
    """

    ids: np.ndarray
    """Token ids, int64, (1, N') if packed, (B, M') if padded."""
    positions: np.ndarray
    """Position ids, int64, same shape."""
    lengths: np.ndarray
    """Tokens per example, int64, (B,)."""
    predicting_positions: np.ndarray
    """Indices into the flattened `ids` of the tokens whose logits predict `targets`, int64, (K',)."""
    targets: np.ndarray
    """Token ids to predict, int64, (K',); only the first K count in the loss."""
    cells: np.ndarray
    """language * num_tasks + task for a token of a completion, -1 for one of a prompt, int16, (K,)."""
    num_tokens: int
    """N."""


LENGTH_MULTIPLE = 64
WIDTH_MULTIPLE = 8
"""N' and K' are multiples of LENGTH_MULTIPLE, M' is a multiple of WIDTH_MULTIPLE."""


def build_micro_batch(
    examples: TokenTable, rows: np.ndarray, *, packed: bool, loss_on_prompt: bool = False
) -> MicroBatch:
    """Lay out examples as one micro-batch.

    The loss mask covers the completion, or with `loss_on_prompt` every token. The first token of an example never
    carries loss, because no token before it predicts it.

    Args:
        examples: table of tokenized examples.
        rows: indices of the examples, shape (B,).
        packed: packed if True, else padded.
        loss_on_prompt: include the prompt in the loss mask.
    """
    lengths = examples.lengths[rows]
    num_rows, width, num_tokens = len(rows), round_up(int(lengths.max()), WIDTH_MULTIPLE), int(lengths.sum())
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
        "predicting_positions": _filled(places[carries] - 1),
        "targets": _filled(ids[carries]),
        "cells": groups[carries].astype(np.int16),
        "num_tokens": num_tokens,
    }
    if packed:
        return MicroBatch(ids=_filled(ids)[None], positions=_filled(positions)[None], **rest)
    rectangle = np.zeros(num_rows * width, np.int64)
    rectangle[cell] = ids
    steps = np.tile(np.arange(width), (num_rows, 1))
    return MicroBatch(ids=rectangle.reshape(num_rows, width), positions=steps, **rest)


def join_micro_batches(parts: Sequence[MicroBatch], *, multiple: int = 1) -> tuple[MicroBatch, list[tuple[int, int]]]:
    """Lay out packed micro-batches, one after another, as one. Their cells remain as they are.

    Args:
        parts: the packed micro-batches.
        multiple: each part is filled to a multiple of so many tokens by a sequence of its own, which carries no loss.

    Returns:
        The micro-batch, and the places of each part in it: the first, and the one after the last.
    """
    ids, positions, lengths, predicting, places, start = [], [], [], [], [], 0
    for one in parts:
        num, fill = one.num_tokens, round_up(one.num_tokens, multiple) - one.num_tokens
        ids += [one.ids[0, :num], np.zeros(fill, np.int64)]
        positions += [one.positions[0, :num], np.arange(fill)]
        lengths += [one.lengths, np.full(int(fill > 0), fill)]
        predicting.append(one.predicting_positions[: len(one.cells)] + start)
        places.append((start, start + num + fill))
        start += num + fill
    joined = MicroBatch(
        ids=_filled(np.concatenate(ids))[None],
        positions=_filled(np.concatenate(positions))[None],
        lengths=np.concatenate(lengths),
        predicting_positions=_filled(np.concatenate(predicting)),
        targets=_filled(np.concatenate([one.targets[: len(one.cells)] for one in parts])),
        cells=np.concatenate([one.cells for one in parts]),
        num_tokens=start,
    )
    return joined, places


def num_loss_tokens(examples: TokenTable, rows: np.ndarray, *, loss_on_prompt: bool = False) -> int:
    """Count the tokens of these examples under the loss mask, as `build_micro_batch` sets it."""
    first_loss = np.maximum(1, np.zeros(len(rows)) if loss_on_prompt else examples.prompt_lengths[rows])
    return int(np.maximum(0, examples.lengths[rows] - first_loss).sum())


def round_up(number: int, multiple: int) -> int:
    """The smallest multiple of `multiple` that is not below `number`."""
    return -(-number // multiple) * multiple


def _filled(array: np.ndarray) -> np.ndarray:
    return np.pad(array, (0, round_up(len(array), LENGTH_MULTIPLE) - len(array)))
