"""Which examples share an optimiser step, and which of those share a forward pass.

Trainers that group examples of like length to save padding do it across steps, and lengths tell languages apart: the
same item takes three times the tokens in Bengali that it takes in English. Such batches are nearly monolingual, in an
order that depends on the tokenizer, and a study of mixtures would measure that too. Here a step's examples are a random
draw from the epoch, whatever their lengths; only inside the step, where order cannot change the sum of gradients, are
they sorted by length and cut into forward passes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from crosslift.streams import stream
from crosslift.training.trainer import SFTConfig, steps_per_epoch


class Order:
    """The batch of any step, computed from the seed alone: a resumed run needs to know nothing but its step."""

    def __init__(self, lengths: np.ndarray, config: SFTConfig, *, seed: int, shuffle: bool = True) -> None:
        self._lengths = lengths
        self._config = config
        self._seed = seed
        self._shuffle = shuffle
        self._epoch = -1
        self._batches: list[np.ndarray] = []
        self.steps_per_epoch = steps_per_epoch(len(lengths), config, num_tokens=int(lengths.sum()))

    def batch(self, step: int) -> np.ndarray:
        """Rows of the examples of a step (counted from 0), int64."""
        epoch, position = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._batches = self._epoch_batches(epoch)
            self._epoch = epoch
        return self._batches[position]

    def _epoch_batches(self, epoch: int) -> list[np.ndarray]:
        num_examples, num_batches = len(self._lengths), self.steps_per_epoch
        rows = np.arange(num_examples)
        if self._shuffle:
            rows = stream(self._seed, "order", epoch).permutation(num_examples)
        if self._config.batch_examples is not None:
            return np.array_split(rows, num_batches)
        # Equal shares of the tokens; a cut moves where a batch would otherwise be empty.
        ends = np.cumsum(self._lengths[rows])
        cuts = np.searchsorted(ends, ends[-1] * np.arange(1, num_batches) / num_batches, side="left") + 1
        places = np.arange(1, num_batches)
        cuts = np.maximum.accumulate(cuts - places) + places
        return np.split(rows, np.minimum(cuts, num_examples - num_batches + places))


def forward_passes(rows: np.ndarray, lengths: np.ndarray, *, max_tokens: int, padded: bool) -> Iterator[np.ndarray]:
    """Cut the examples of a step into parts that fit, the longest first so that too little memory shows at once.

    Args:
        rows: examples of the step.
        lengths: tokens of all examples of the corpus.
        max_tokens: bound for a part, padding included if `padded`; a longer example goes alone.
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
