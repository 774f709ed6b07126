"""Shares of wins over baselines that several cells share, with an effective sample size.

A win is a treatment whose score is above that of its baseline. Comparisons with a common baseline are correlated,
because a low score of the baseline favours all of them, and so are comparisons of one treatment run in several
languages. Wilson's interval assumes independent cells. Here the dependence is simulated, with the sampling error of
scores of the given number of items; the interval is Wilson's for the effective number of cells that the simulated
variance corresponds to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from crosslift.streams import stream
from crosslift.transfer.estimates.wilson import wilson_interval, wilson_interval_of_share


@dataclass(frozen=True, kw_only=True)
class WinShare:
    """A share of wins with two intervals."""

    num_wins: int
    num_cells: int
    independent_interval: tuple[float, float]
    """Wilson's interval under independence, as published."""
    dependent_interval: tuple[float, float]
    """Wilson's interval with the effective number of cells."""
    num_effective_cells: float
    """Number of independent cells with the same variance of the share."""


def win_share(
    num_wins: int,
    baseline: np.ndarray,
    treatment: np.ndarray,
    language: np.ndarray,
    *,
    cell_sd: float,
    run_sd: float,
    effect_sd: float,
    num_draws: int = 4000,
    seed: int = 0,
) -> WinShare:
    """Confidence interval of a share of wins with dependent cells.

    Args:
        num_wins: cells in which the treatment scores higher.
        baseline: index of the baseline run of each cell, shape (cells,).
        treatment: index of the treatment run of each cell, shape (cells,).
        language: index of the evaluation language of each cell, shape (cells,).
        cell_sd: standard deviation of a score due to the sampling of items, given its run.
        run_sd: standard deviation of the effect of a run on all its scores.
        effect_sd: standard deviation of the true differences between cells; their mean follows from the share of wins.
        num_draws: simulations.
        seed: of the simulation.
    """
    n = len(baseline)
    share = (num_wins + 0.5) / (n + 1)
    total = np.sqrt(effect_sd**2 + 2 * cell_sd**2 + 2 * run_sd**2)
    mean = float(ndtri(share)) * total
    generator = stream(seed, "transfer", "shared baselines")
    base_cells = np.unique(np.stack([baseline, language]), axis=1, return_inverse=True)[1].ravel()
    own_cells = np.unique(np.stack([treatment, language]), axis=1, return_inverse=True)[1].ravel()
    shares = np.empty(num_draws)
    for draw in range(num_draws):
        true = mean + effect_sd * generator.standard_normal(n)
        runs = run_sd * generator.standard_normal(int(treatment.max()) + 1)
        bases = run_sd * generator.standard_normal(int(baseline.max()) + 1)
        own = cell_sd * generator.standard_normal(int(own_cells.max()) + 1)
        base = cell_sd * generator.standard_normal(int(base_cells.max()) + 1)
        difference = true + runs[treatment] + own[own_cells] - bases[baseline] - base[base_cells]
        shares[draw] = (difference > 0).mean()
    p = float(shares.mean())
    effective = min(float(n), p * (1 - p) / float(shares.var(ddof=1)))
    observed = num_wins / n
    low, high = wilson_interval_of_share(observed, effective)
    return WinShare(
        num_wins=num_wins,
        num_cells=n,
        independent_interval=wilson_interval(num_wins, n),
        dependent_interval=(low, high),
        num_effective_cells=effective,
    )
