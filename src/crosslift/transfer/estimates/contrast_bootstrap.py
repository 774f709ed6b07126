"""Percentile intervals of a large number of paired contrasts.

All runs and languages share the resampled items, so the bootstrap distribution of every contrast is a product of one
matrix of differences per item and one matrix of weights. The quantiles are computed block by block, so that the
resampled means of all contrasts are never in memory at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crosslift.streams import stream
from crosslift.transfer.estimates.resampling import bootstrap_weights

CONTRASTS_PER_BLOCK = 256
"""Contrasts whose resampled means are in memory at the same time."""


@dataclass(frozen=True, kw_only=True)
class ContrastIntervals:
    """Differences treatment minus control with their intervals; each array has shape (contrasts, groups)."""

    value: np.ndarray
    """Observed difference, in the unit of the scores."""
    low: np.ndarray
    """Lower confidence limit."""
    high: np.ndarray
    """Upper confidence limit."""
    standard_error: np.ndarray
    """Standard deviation of the bootstrap distribution."""


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
    """Estimate treatment minus control, averaged over groups of languages, with items resampled jointly for all
    contrasts.

    Args:
        values: scores, shape (runs, languages, items), one per item.
        treatments: positions of the treatment runs, shape (contrasts,).
        controls: positions of the control runs, shape (contrasts,).
        groups: positions of the languages of each group; the languages of a group have equal weight.
        num_resamples: bootstrap resamples; ignored if `weights` is given.
        seed: of the resampling.
        level: coverage of the intervals, e.g. 0.95.
        weights: shape (items, resamples), how often each item is drawn; by default n - 1 draws per resample (J. N. K.
            Rao and C. F. J. Wu 1988, JASA 83, 231-241).

    Returns:
        Percentile intervals. They include the sampling error of items only; `estimate` adds run-to-run noise and the
        small-sample correction.
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
    """Linear quantiles of each row as in numpy, by partial sorting of the tails. Reorders the rows in place."""
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
