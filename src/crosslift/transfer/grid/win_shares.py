"""Shares of wins over baselines that many cells share: how many independent cells they are worth.

A win is a treatment's score above its baseline's. When four treatments are compared with one baseline, a baseline that
came out low by chance gives four wins at once; so does every language that a lucky run is evaluated in. Wilson's
interval takes all cells for independent. Here the dependence is simulated, with the noise that scores of so many items
have, and the interval is Wilson's for as many cells as the simulated variance is worth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from crosslift.streams import stream
from crosslift.transfer.estimates.wilson import wilson_interval, wilson_interval_of_share


@dataclass(frozen=True, kw_only=True)
class WinShare:
    """A share of wins with both intervals."""

    num_wins: int
    num_cells: int
    independent_interval: tuple[float, float]
    """Wilson's, as printed."""
    dependent_interval: tuple[float, float]
    num_effective_cells: float


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
    """The interval of a share of wins.

    Args:
        baseline, treatment, language: (cells,), which baseline run, treatment run and language each cell compares.
        cell_sd: standard deviation of one score given its run: items.
        run_sd: of what all scores of one run share.
        effect_sd: of the true differences between cells. The mean difference follows from the share of wins.
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
