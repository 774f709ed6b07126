"""One number from several studies: the study as a random effect, and how much studies differ.

theta_s = mu + b_s + e_s with b_s ~ N(0, tau^2) and e ~ N(0, V). Unlike in `mixed_model`, the error covariance V is
known: it comes from the clustered bootstrap of each study with its noise between runs, and has entries off the diagonal
where studies share test items. tau is estimated by restricted maximum likelihood. The interval of mu is that of J.
Hartung and G. Knapp (2001), Statistics in Medicine 20, 3875-3889, with a t distribution of k - 1 degrees of freedom,
and never narrower than the unscaled one (C. Roever, G. Knapp and T. Friede 2015, BMC Medical Research Methodology 15,
99). The interval of tau inverts the generalised Q statistic, which is chi-squared with k - 1 degrees of freedom (W.
Viechtbauer 2007, Statistics in Medicine 26, 37-52). Noise between runs of studies with one seed is not in V and becomes
part of tau.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from crosslift.errors import TransferError

MIN_RANDOM = 3
"""Smallest number of studies with a random effect; with two, the study is a fixed effect."""
MIN_HETEROGENEITY = 4
"""Smallest number of studies for an interval of the standard deviation between studies."""

RIDGE = 1e-6
"""Part of the mean variance that is added to the diagonal, so that the covariance can be inverted."""


@dataclass(frozen=True, kw_only=True)
class PooledEffect:
    """The mean over studies of one quantity, in its unit."""

    value: float
    low: float
    high: float
    standard_error: float
    df: float
    """Degrees of freedom of the interval."""
    weights: np.ndarray
    """Weight of each study, shape (studies,); they sum to 1."""
    between_sd: float
    """Estimated standard deviation between studies (tau)."""
    between_low: float | None
    """Lower limit of tau; None with fewer than MIN_HETEROGENEITY studies."""
    between_high: float | None


def random_effects(values: np.ndarray, covariance: np.ndarray, *, level: float) -> PooledEffect:
    """Pool values of at least MIN_RANDOM studies with the study as a random effect.

    Args:
        values: one per study, shape (studies,).
        covariance: of their errors within studies, shape (studies, studies), positive definite.
        level: coverage of the intervals, e.g. 0.95.

    Raises:
        TransferError: fewer than MIN_RANDOM studies.
    """
    num = len(values)
    if num < MIN_RANDOM:
        raise TransferError(f"a random effect of the study needs at least {MIN_RANDOM} studies; there are {num}.")
    ridge = RIDGE * float(np.diag(covariance).mean()) * np.eye(num)  # equal runs of two studies: a singular matrix
    covariance = covariance + ridge
    between = _restricted_maximum(values, covariance)
    value, variance, weights = weighted_mean(values, covariance + between * np.eye(num))
    scale = max(1.0, _generalised_q(values, covariance, between) / (num - 1))
    error = math.sqrt(variance * scale)
    half = float(stats.t.ppf((1 + level) / 2, num - 1)) * error
    low = high = None
    if num >= MIN_HETEROGENEITY:
        low, high = _limits_of_between(values, covariance, level)
    return PooledEffect(
        value=value,
        low=value - half,
        high=value + half,
        standard_error=error,
        df=num - 1,
        weights=weights,
        between_sd=math.sqrt(between),
        between_low=low,
        between_high=high,
    )


def weighted_mean(values: np.ndarray, covariance: np.ndarray) -> tuple[float, float, np.ndarray]:
    """Mean weighted by precision: w_s proportional to 1 / covariance_ss, with variance w' covariance w.

    Weights from the diagonal alone are never negative, also if studies share their test items; the variance takes the
    covariance into account.

    Args:
        values: shape (studies,).
        covariance: of the values, shape (studies, studies).

    Returns:
        The mean, its variance, and the weights, shape (studies,).
    """
    precision = 1 / np.diag(covariance)
    weights = precision / precision.sum()
    return float(weights @ values), float(weights @ covariance @ weights), weights


def _generalised(values: np.ndarray, covariance: np.ndarray) -> tuple[float, float]:
    """Mean of generalised least squares, and its variance."""
    solved = np.linalg.solve(covariance, np.ones(len(values)))
    return float(solved @ values / solved.sum()), float(1 / solved.sum())


def _generalised_q(values: np.ndarray, covariance: np.ndarray, between: float) -> float:
    total = covariance + between * np.eye(len(values))
    mean, _ = _generalised(values, total)
    away = values - mean
    return float(away @ np.linalg.solve(total, away))


def _restricted_maximum(values: np.ndarray, covariance: np.ndarray) -> float:
    """Variance between studies that maximises the restricted likelihood."""

    def loss(between: float) -> float:
        total = covariance + between * np.eye(len(values))
        _, variance = _generalised(values, total)
        return float(np.linalg.slogdet(total)[1]) - math.log(variance) + _generalised_q(values, covariance, between)

    upper = 10 * float(values.var(ddof=1)) + 1e-12
    grid = np.concatenate([[0.0], upper * np.geomspace(1e-6, 1, 60)])
    best = int(np.argmin([loss(one) for one in grid]))
    if best == 0:
        return 0.0
    bounds = (float(grid[best - 1]), float(grid[min(best + 1, len(grid) - 1)]))
    return float(optimize.minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x)


def _limits_of_between(values: np.ndarray, covariance: np.ndarray, level: float) -> tuple[float, float]:
    """Limits of tau by inversion of Q, which decreases in tau."""
    df, tail = len(values) - 1, (1 - level) / 2

    def excess(quantile: float) -> Callable[[float], float]:
        return lambda between: _generalised_q(values, covariance, between) - quantile

    limits = []
    for quantile in (float(stats.chi2.ppf(1 - tail, df)), float(stats.chi2.ppf(tail, df))):
        wanted = excess(quantile)
        if wanted(0.0) <= 0:
            limits.append(0.0)
            continue
        upper = max(float(values.var(ddof=1)), 1e-12)
        while wanted(upper) > 0:
            upper *= 4
        limits.append(math.sqrt(float(optimize.brentq(wanted, 0.0, upper))))
    return limits[0], limits[1]
