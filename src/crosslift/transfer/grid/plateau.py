"""Plateaus of dose-response curves, and bias correction of maxima over noisy values.

A curve is fitted by isotonic regression, i.e. scores do not decrease with the dose. The plateau is the smallest dose
whose fitted score is less than a margin below the largest one. Curves of further runs are simulated around the fit with
the estimated run-to-run noise and the uncertainty of its variance. Intervals of levels are basic bootstrap intervals
(A. C. Davison and D. V. Hinkley 1997, Bootstrap Methods and their Application, 5.2), which correct the upward bias of a
maximum over noisy values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

from crosslift.streams import stream
from crosslift.transfer.variance.replicate_noise import NoiseVariance

NUM_DRAWS = 4000
"""Simulated curves."""


@dataclass(frozen=True, kw_only=True)
class BiasCorrected:
    """A statistic of one or several curves with its bias correction and interval."""

    observed: float
    """The uncorrected value."""
    value: float
    """The observed value minus the bias of the statistic under its own noise."""
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Plateau:
    """The smallest dose of the plateau, with its interval."""

    dose: float
    """Estimate, in the unit of the doses."""
    low: float
    high: float
    identified: bool
    """False if the interval contains the whole range of doses."""


def isotonic_fit(curve: np.ndarray) -> np.ndarray:
    """Isotonic regression: the nearest non-decreasing curve, shape (doses,)."""
    return np.asarray(isotonic_regression(curve).x)


def maximum(curve: np.ndarray) -> np.ndarray:
    """Maximum over the last axis."""
    return np.asarray(curve.max(axis=-1))


def gain_over_first(curve: np.ndarray) -> np.ndarray:
    """Maximum over the last axis minus its first entry."""
    return np.asarray(curve.max(axis=-1) - curve[..., 0])


def bias_corrected(
    function: Callable[..., np.ndarray],
    curves: Sequence[np.ndarray],
    noises: Sequence[NoiseVariance],
    *,
    level: float = 0.95,
    seed: int = 0,
) -> BiasCorrected:
    """Estimate a statistic of curves with bias correction and a basic bootstrap interval over run-to-run noise.

    Args:
        function: the statistic, from one array of shape (..., doses) per curve to shape (...).
        curves: observed scores, shape (doses,) each.
        noises: noise variance of a single point of each curve.
        level: coverage of the interval.
        seed: of the simulation.
    """
    observed = float(function(*(np.asarray(curve, dtype=float) for curve in curves)))
    fits = [isotonic_fit(np.asarray(curve, dtype=float)) for curve in curves]
    truth = float(function(*fits))
    draws = np.asarray(function(*_simulated(fits, noises, seed)))
    tail = (1 - level) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return BiasCorrected(
        observed=observed,
        value=observed - (float(draws.mean()) - truth),
        low=observed - (float(high) - truth),
        high=observed - (float(low) - truth),
    )


def plateau_dose(curve: np.ndarray, doses: np.ndarray, margin: float) -> np.ndarray:
    """Smallest dose whose score is less than the margin below the largest score.

    Args:
        curve: non-decreasing scores, shape (..., doses).
        doses: shape (doses,), ascending.
        margin: in the unit of the scores.

    Returns:
        Shape (...).
    """
    close = curve >= curve[..., -1:] - margin
    found: np.ndarray = np.asarray(doses)[np.argmax(close, axis=-1)]
    return found


def plateau(
    curve: np.ndarray,
    doses: Sequence[float] | np.ndarray,
    noise: NoiseVariance,
    *,
    margin: float,
    level: float = 0.95,
    seed: int = 0,
) -> Plateau:
    """Estimate the plateau of a curve with a percentile interval over simulated runs.

    Args:
        curve: observed scores, shape (doses,).
        doses: shape (doses,), ascending.
        noise: noise variance of a single point.
        margin: in the unit of the scores.
        level: coverage of the interval.
        seed: of the simulation.
    """
    given = np.asarray(doses, dtype=float)
    fit = isotonic_fit(np.asarray(curve, dtype=float))
    draws = plateau_draws(fit, given, noise, margin=margin, seed=seed)
    tail = (1 - level) / 2
    low, high = np.quantile(draws, [tail, 1 - tail], method="nearest")
    return Plateau(
        dose=float(plateau_dose(fit, given, margin)),
        low=float(low),
        high=float(high),
        identified=not (low <= given[1] and high >= given[-1]),
    )


def plateau_draws(
    fit: np.ndarray, doses: np.ndarray, noise: NoiseVariance, *, margin: float, seed: int = 0
) -> np.ndarray:
    """Plateaus of simulated curves, shape (number of simulated curves,).

    Args:
        fit: isotonic fit, shape (doses,).
        doses: shape (doses,), ascending.
        noise: noise variance of a single point.
        margin: in the unit of the scores.
        seed: of the simulation.
    """
    (simulated,) = _simulated([fit], [noise], seed)
    refitted = np.stack([isotonic_fit(one) for one in simulated[:1000]])
    return plateau_dose(refitted, doses, margin)


def _simulated(fits: Sequence[np.ndarray], noises: Sequence[NoiseVariance], seed: int) -> list[np.ndarray]:
    return [
        fit + noise.draws((NUM_DRAWS, len(fit)), stream(seed, "plateau", str(number)))
        for number, (fit, noise) in enumerate(zip(fits, noises, strict=True))
    ]
