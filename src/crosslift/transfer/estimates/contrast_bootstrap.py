"""Percentile intervals of very many paired contrasts at once.

All runs and languages share the drawn items, so the bootstrap of every contrast is a product of one matrix of
differences per item with one matrix of weights; what is left is to find quantiles, which is done block by block, so
that neither the resampled means of all contrasts nor copies of them are ever in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crosslift.streams import stream
from crosslift.transfer.estimates.resampling import bootstrap_weights

CONTRASTS_PER_BLOCK = 256


@dataclass(frozen=True, kw_only=True)
class ContrastIntervals:
    """Treatment minus control, shape (contrasts, groups) each."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    standard_error: np.ndarray


def bootstrap_contrasts(
    values: np.ndarray,
    treatments: np.ndarray,
    controls: np.ndarray,
    groups: Sequence[np.ndarray],
    *,
    num_resamples: int = 10_000,
    seed: int = 0,
    level: float = 0.95,
    weights: np.ndarray | None = None,
) -> ContrastIntervals:
    """Means over groups of languages of treatment minus control, items resampled jointly for all.

    Args:
        values: (runs, languages, items), one score per item.
        treatments, controls: (contrasts,), positions of runs.
        groups: positions of languages; each counts the same.
        weights: (items, resamples), how often each item is drawn; None: `num_resamples` draws of n - 1 (Rao and Wu).

    Returns:
        Percentile intervals. They hold the noise of items; `estimands` adds run-to-run noise and small-sample factors.
    """
    if weights is None:
        weights = bootstrap_weights(values.shape[2], num_resamples, stream(seed, "transfer", "bulk"))
    shares = (weights / weights.sum(axis=0)).astype(
        np.float32 if values.shape[2] > 1 and weights.shape[1] > 1000 else float
    )
    mixing = np.zeros((len(groups), values.shape[1]))
    for place, group in enumerate(groups):
        mixing[place, group] = 1 / len(group)
    grouped = np.einsum("gl,rli->rgi", mixing, values, optimize=True)
    differences = (grouped[treatments] - grouped[controls]).reshape(-1, values.shape[2])
    tail = (1 - level) / 2
    low, high, error = (np.empty(len(differences)) for _ in range(3))
    for start in range(0, len(differences), CONTRASTS_PER_BLOCK):
        part = slice(start, start + CONTRASTS_PER_BLOCK)
        means = differences[part].astype(shares.dtype) @ shares
        error[part] = means.std(axis=1, ddof=1)
        low[part], high[part] = _quantiles(means, tail)
    shape = (len(treatments), len(groups))
    return ContrastIntervals(
        value=differences.mean(axis=1).reshape(shape),
        low=low.reshape(shape),
        high=high.reshape(shape),
        standard_error=error.reshape(shape),
    )


def _quantiles(means: np.ndarray, tail: float) -> tuple[np.ndarray, np.ndarray]:
    """numpy's linear quantiles of rows, without sorting more than the tails. Overwrites the rows' order."""
    last = means.shape[1] - 1
    found = []
    places = [tail * last, (1 - tail) * last]
    wanted = sorted(
        {int(np.floor(place)) for place in places} | {min(int(np.floor(place)) + 1, last) for place in places}
    )
    means.partition(wanted, axis=1)
    for place in places:
        below = int(np.floor(place))
        share = place - below
        found.append(means[:, below] * (1 - share) + means[:, min(below + 1, last)] * share)
    return found[0], found[1]
