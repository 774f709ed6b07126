"""Where a dose-response curve stops to rise, and what the best of several noisy numbers is worth.

A curve is fitted by isotonic regression: scores that do not fall with the dose. The plateau is the smallest dose whose
fitted score lies less than a margin below the largest. What other runs would have given is simulated around the fit,
with the run-to-run noise that the results themselves show, its own uncertainty included; intervals are the basic
bootstrap's (A. C. Davison and D. V. Hinkley 1997, Bootstrap Methods and their Application, 5.2), so that the upward
bias of a maximum over noisy numbers is taken off.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

from crosslift.streams import stream
from crosslift.transfer.variance.replicate_noise import NoiseVariance

NUM_DRAWS = 4000


@dataclass(frozen=True, kw_only=True)
class BiasCorrected:
    """A number made from one or several curves, as observed and as corrected, with an interval."""

    observed: float
    value: float
    """Without the bias that the statistic has under its own noise."""
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Plateau:
    dose: float
    low: float
    high: float
    identified: bool
    """False where the interval reaches over the whole range of doses."""


def isotonic_fit(curve: np.ndarray) -> np.ndarray:
    """The nearest curve that does not fall."""
    return np.asarray(isotonic_regression(curve).x)


def maximum(curve: np.ndarray) -> np.ndarray:
    """Over the last axis."""
    return np.asarray(curve.max(axis=-1))


def gain_over_first(curve: np.ndarray) -> np.ndarray:
    """The best minus the first."""
    return np.asarray(curve.max(axis=-1) - curve[..., 0])


def bias_corrected(
    function: Callable[..., np.ndarray],
    curves: Sequence[np.ndarray],
    noises: Sequence[NoiseVariance],
    *,
    level: float = 0.95,
    seed: int = 0,
) -> BiasCorrected:
    """A function of curves, each (doses,), with what run-to-run noise leaves of it.

    Args:
        function: of arrays (..., doses), one per curve.
        noises: of one point of each curve.
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
    """Smallest dose whose score is less than the margin below the largest; curves (..., doses) that do not fall."""
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
    """Where the curve stops to rise, with a percentile interval over what other runs would have given."""
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
    """Plateaus of simulated curves, (NUM_DRAWS,)."""
    (simulated,) = _simulated([fit], [noise], seed)
    refitted = np.stack([isotonic_fit(one) for one in simulated[:1000]])
    return plateau_dose(refitted, doses, margin)


def _simulated(fits: Sequence[np.ndarray], noises: Sequence[NoiseVariance], seed: int) -> list[np.ndarray]:
    return [
        fit + noise.draws((NUM_DRAWS, len(fit)), stream(seed, "plateau", str(number)))
        for number, (fit, noise) in enumerate(zip(fits, noises, strict=True))
    ]
