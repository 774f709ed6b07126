"""Optimal designs: the runs from which the transfer model learns most, chosen before any of them is made.

A design is a set S of runs out of candidates. The transfer model has a normal prior for the latent scores f of all
candidates, with covariance K, and a run measures the scores of its mixture with noise of covariance N. Two criteria:

    d_optimal   the mutual information of the measurements and the latent scores, 1/2 log det(1 + N^-1 K_SS): the
                Bayesian form of D-optimality, for the design with the largest information has the smallest determinant
                of the posterior covariance (K. Chaloner and I. Verdinelli 1995, Bayesian experimental design: a review,
                Statistical Science 10)
    v_optimal   the mean posterior variance of what is to be predicted, all candidates unless stated otherwise, which is
                what the error of predictions consists of (D. A. Cohn 1996, Neural network exploration using optimal
                experiment design, Neural Networks 9)

Both depend on where the runs are and not on what they measure. The information is submodular, so that greedy choice
reaches at least 63 % of the largest (A. Krause, A. Singh and C. Guestrin 2008, Near-optimal sensor placements in
Gaussian processes, Journal of Machine Learning Research 9). The greedy design is improved by exchanges of one run with
one candidate (V. V. Fedorov 1972, Theory of Optimal Experiments).

A choice must not depend on rounding errors, which differ between processors: among candidates that are equal up to
`TIE`, the first is chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import linalg

Criterion = Literal["d_optimal", "v_optimal"]
TIE = 1e-6
"""Relative difference of gains below which candidates are equal."""
MAX_PASSES = 4
"""Passes of exchanges over the design."""


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Prior of the latent scores of possible runs, and the noise with which a run measures them."""

    covariance: np.ndarray
    """Prior covariance, shape (candidates * languages, candidates * languages), languages as the fastest index."""
    noise: np.ndarray
    """Covariance of the noise of one run between its languages, shape (languages, languages)."""
    towards: np.ndarray | None = None
    """Prior covariance of the cells of the candidates with the cells that are to be predicted, shape (candidates *
    languages, cells); None: the candidates themselves are. Only "v_optimal" depends on it."""

    @property
    def num_languages(self) -> int:
        """Number of evaluation languages."""
        return len(self.noise)

    @property
    def num(self) -> int:
        """Number of candidates."""
        return len(self.covariance) // self.num_languages

    def rows(self, chosen: Sequence[int]) -> np.ndarray:
        """Positions of the cells of some candidates, shape (chosen * languages,)."""
        return (np.asarray(chosen, dtype=int)[:, None] * self.num_languages + np.arange(self.num_languages)).ravel()

    def blocks(self, matrix: np.ndarray) -> np.ndarray:
        """Blocks of a matrix of cells for each candidate with itself, shape (candidates, languages, languages)."""
        places = np.arange(self.num)
        shape = (self.num, self.num_languages, self.num, self.num_languages)
        return np.asarray(matrix.reshape(shape)[places, :, places, :])

    def measured(self, chosen: Sequence[int]) -> np.ndarray:
        """Covariance of the measurements of a design, shape (chosen * languages, chosen * languages)."""
        rows = self.rows(chosen)
        return np.asarray(self.covariance[np.ix_(rows, rows)] + np.kron(np.eye(len(chosen)), self.noise))


def information(candidates: Candidates, chosen: Sequence[int]) -> float:
    """Mutual information of the measurements of a design and the latent scores, in nats.

    Args:
        candidates: prior and noise.
        chosen: positions of the runs; a position that occurs twice is measured by two runs.
    """
    if not chosen:
        return 0.0
    total = np.linalg.slogdet(candidates.measured(chosen))[1]
    return 0.5 * float(total - len(chosen) * np.linalg.slogdet(candidates.noise)[1])


def mean_variance(candidates: Candidates, chosen: Sequence[int]) -> float:
    """Mean posterior variance of the latent scores of all candidates, arguments as for `information`."""
    prior = float(np.trace(candidates.covariance))
    if chosen:
        rows = candidates.rows(chosen)
        lower = linalg.cholesky(candidates.measured(chosen), lower=True)
        half = linalg.solve_triangular(lower, candidates.covariance[rows], lower=True)
        prior -= float((half**2).sum())
    return prior / len(candidates.covariance)


def optimal_design(
    candidates: Candidates, num_runs: int, *, criterion: Criterion = "d_optimal", included: Sequence[int] = ()
) -> list[int]:
    """Choose runs by a criterion.

    Args:
        candidates: prior and noise.
        num_runs: number of runs to choose, in addition to those that are included.
        criterion: "d_optimal" or "v_optimal".
        included: positions of runs that are made in any case.

    Returns:
        Positions of the chosen runs, all different and none included, ordered so that each adds most to those before
        it. With fewer candidates than runs, all candidates.
    """
    chosen: list[int] = []
    for _ in range(min(num_runs, candidates.num - len(set(included)))):
        chosen.append(_first_of_largest(_gains(candidates, [*included, *chosen], criterion)))
    for _ in range(MAX_PASSES):
        before = list(chosen)
        for place in range(len(chosen)):
            gains = _gains(candidates, [*included, *chosen[:place], *chosen[place + 1 :]], criterion)
            best = _first_of_largest(gains)
            if gains[best] > gains[chosen[place]] * (1 + TIE):
                chosen[place] = best
        if chosen == before:
            break
    return _ordered(candidates, chosen, included, criterion)


def _ordered(candidates: Candidates, chosen: Sequence[int], included: Sequence[int], criterion: Criterion) -> list[int]:
    """The chosen runs in the order of greedy choice."""
    ordered: list[int] = []
    outside = np.setdiff1d(np.arange(candidates.num), chosen)
    while len(ordered) < len(chosen):
        gains = _gains(candidates, [*included, *ordered], criterion)
        gains[outside] = -np.inf
        ordered.append(_first_of_largest(gains))
    return ordered


def _first_of_largest(gains: np.ndarray) -> int:
    return int(np.flatnonzero(gains >= gains.max() * (1 - TIE))[0])


def _gains(candidates: Candidates, taken: Sequence[int], criterion: Criterion) -> np.ndarray:
    """What each candidate adds to a design, shape (candidates,): information, or a reduction of the summed variance.

    All gains are positive; those of the runs of the design are minus infinity.
    """
    num, noise = candidates.num_languages, candidates.noise
    own = candidates.blocks(candidates.covariance)
    towards = candidates.covariance if candidates.towards is None else candidates.towards
    if taken:
        rows = candidates.rows(taken)
        lower = linalg.cholesky(candidates.measured(taken), lower=True)
        half = linalg.solve_triangular(lower, candidates.covariance[rows], lower=True)
        parts = half.reshape(len(rows), candidates.num, num)
        own = own - np.einsum("ria,rib->iab", parts, parts)
        if criterion == "v_optimal":
            towards = towards - half.T @ linalg.solve_triangular(lower, towards[rows], lower=True)
    if criterion == "v_optimal":
        cells = towards.reshape(candidates.num, num, -1)
        gains = np.einsum("iab,iba->i", cells @ cells.transpose(0, 2, 1), np.linalg.inv(own + noise))
    else:
        gains = 0.5 * (np.linalg.slogdet(own + noise)[1] - np.linalg.slogdet(noise)[1])
    gains[list(taken)] = -np.inf
    return np.asarray(gains)
