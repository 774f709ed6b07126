"""Probit link between scores and the scale on which effects add up.

A score is a share p of the metric's range. The transfer model is linear in the latent value f with p = Phi(f), the
standard normal distribution function, so that expectations and limits of scores cannot leave the range and effects
shrink near its ends. With a normal latent value, f ~ N(m, v), the expected score is Phi(m / sqrt(1 + v)) exactly
(C. E. Rasmussen and C. K. I. Williams 2006, Gaussian Processes for Machine Learning, section 3.9).
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

LARGEST_LATENT = 5.0
"""Latent values are kept within +- LARGEST_LATENT; there a share differs from 0 or 1 by less than 1e-6."""


def to_share(latent: np.ndarray) -> np.ndarray:
    """Shares of latent values."""
    return np.asarray(ndtr(latent))


def to_latent(shares: np.ndarray, num_items: np.ndarray) -> np.ndarray:
    """Latent values of measured shares, finite at 0 and 1: half an item is added to either side.

    Args:
        shares: shape (n,), in [0, 1].
        num_items: effective number of items of each share, shape (n,).
    """
    return np.asarray(ndtri((shares * num_items + 0.5) / (num_items + 1)))


def expected_share(mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Expectation of a share whose latent value is normal."""
    return np.asarray(ndtr(mean / np.sqrt(1 + variance)))


def expected_slope(mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Derivative of `expected_share` with respect to the mean of the latent value."""
    spread = np.sqrt(1 + variance)
    return np.asarray(density(mean / spread) / spread)


def density(latent: np.ndarray) -> np.ndarray:
    """Standard normal density."""
    return np.asarray(np.exp(-0.5 * latent**2) / np.sqrt(2 * np.pi))


def working_response(latent: np.ndarray, shares: np.ndarray, num_items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Normal approximation of binomial measurements around latent values (iteratively reweighted least squares).

    Args:
        latent: latent values at which the likelihood is expanded, shape (n,).
        shares: measured shares, shape (n,).
        num_items: effective number of items of each share, shape (n,).

    Returns:
        Working responses and their variances, shape (n,) each: the delta method, at the expected and not at the
        measured share, so that a measured 0 or 1 has a finite variance.
    """
    at = np.clip(latent, -LARGEST_LATENT, LARGEST_LATENT)
    share, slope = ndtr(at), density(at)
    variance = share * ndtr(-at) / (num_items * slope**2)
    return at + (shares - share) / slope, np.asarray(variance)
