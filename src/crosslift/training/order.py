"""Batches of examples for optimizer steps, and their division into micro-batches.

Many trainers group examples of similar length across steps to save padding. Length correlates with language: the same
item takes three times as many tokens in Bengali as in English. Such batches are nearly monolingual, and their order
depends on the tokenizer, which would confound a study of mixtures. Here the batch of a step is a random sample of the
epoch, or of a stage of a curriculum, independent of length. Examples are sorted by length only within a step, where
order does not change the accumulated gradient.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import numpy as np

from crosslift.streams import stream
from crosslift.training.trainer import SFTConfig, steps_per_epoch


class BatchSampler:
    """Computes the batch of any step from the seed alone, so that a resumed run needs only its step number."""

    def __init__(
        self,
        lengths: np.ndarray,
        config: SFTConfig,
        *,
        seed: int,
        shuffle: bool = True,
        stages: tuple[int, ...] = (),
    ) -> None:
        self._lengths = lengths
        self._stages = stages or (len(lengths),)
        self._config = config
        self._seed = seed
        self._shuffle = shuffle
        self._epoch = -1
        self._batches: list[np.ndarray] = []
        self.steps_per_epoch = steps_per_epoch(len(lengths), config, num_tokens=int(lengths.sum()))

    def batch(self, step: int) -> np.ndarray:
        """Indices of the examples of a step (counted from 0), int64, shape (num_examples_in_step,)."""
        epoch, position = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._batches = self._epoch_batches(epoch)
            self._epoch = epoch
        return self._batches[position]

    def _epoch_batches(self, epoch: int) -> list[np.ndarray]:
        num_examples, num_batches = len(self._lengths), self.steps_per_epoch
        rows = np.arange(num_examples)
        if self._shuffle:
            rows = self._shuffled(epoch)
        if self._config.batch_examples is not None:
            return np.array_split(rows, num_batches)
        # Batches have equal numbers of tokens; a boundary moves where a batch would otherwise be empty.
        ends = np.cumsum(self._lengths[rows])
        cuts = np.searchsorted(ends, ends[-1] * np.arange(1, num_batches) / num_batches, side="left") + 1
        places = np.arange(1, num_batches)
        cuts = np.maximum.accumulate(cuts - places) + places
        return np.split(rows, np.minimum(cuts, num_examples - num_batches + places))

    def _shuffled(self, epoch: int) -> np.ndarray:
        """A permutation of the examples in which every stage keeps its place."""
        generator = stream(self._seed, "order", epoch)
        ends = np.cumsum(self._stages)
        return np.concatenate(
            [end - size + generator.permutation(size) for size, end in zip(self._stages, ends, strict=True)]
        )


def micro_batches(rows: np.ndarray, lengths: np.ndarray, *, max_tokens: int, padded: bool) -> Iterator[np.ndarray]:
    """Divide the examples of a step into micro-batches, the longest first, so that a lack of memory shows at once.

    Args:
        rows: indices of the step's examples, shape (num_rows,).
        lengths: tokens of every example of the table, shape (num_examples,).
        max_tokens: upper bound of tokens in a micro-batch; a longer example gets a micro-batch of its own.
        padded: whether padding counts towards `max_tokens`.

    Yields:
        Indices of the examples of each micro-batch.
    """
    rows = rows[np.argsort(-lengths[rows], kind="stable")]
    start, tokens = 0, 0
    for i, length in enumerate(lengths[rows].tolist()):
        after = int(lengths[rows[start]]) * (i - start + 1) if padded else tokens + length
        if i > start and after > max_tokens:
            yield rows[start:i]
            start, tokens = i, 0
        tokens += length
    yield rows[start:]


def shares(rows: np.ndarray, lengths: np.ndarray, num_devices: int) -> list[np.ndarray]:
    """Divide the examples of a step among devices, so that their tokens differ little: the longest first, each to the
    device that has the fewest tokens.

    Args:
        rows: indices of the step's examples, shape (num_rows,).
        lengths: tokens of every example of the table, shape (num_examples,).
        num_devices: number of devices.

    Returns:
        Indices of the examples of each device; some are empty if there are more devices than examples.
    """
    held: list[list[int]] = [[] for _ in range(num_devices)]
    least = [(0, device) for device in range(num_devices)]
    for row in rows[np.argsort(-lengths[rows], kind="stable")].tolist():
        tokens, device = heapq.heappop(least)
        held[device].append(row)
        heapq.heappush(least, (tokens + int(lengths[row]), device))
    return [np.array(one, dtype=np.int64) for one in held]
