"""Wilson's score interval, for proportions of independent trials and for samples without variance."""

from __future__ import annotations

import math

import polars as pl
from scipy import special
from scipy.stats import norm


def wilson_interval(successes: int, trials: int, *, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a proportion, for independent trials (E. B. Wilson 1927, JASA 22, 209-212).

    Args:
        successes: number of successes.
        trials: number of trials, at least 1.
        level: coverage, e.g. 0.95.

    Returns:
        Lower and upper limit, as proportions.

    Raises:
        ValueError: no trials, or more successes than trials.
    """
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"{successes} of {trials} is not a share")
    return wilson_interval_of_share(successes / trials, trials, level=level)


def wilson_interval_of_share(share: float, trials: float, *, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a proportion, for a number of trials that need not be an integer.

    Args:
        share: observed proportion, from 0 to 1.
        trials: number of trials, or the effective number of trials.
        level: coverage, e.g. 0.95.

    Returns:
        Lower and upper limit, as proportions.
    """
    z2 = float(norm.ppf((1 + level) / 2)) ** 2
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = math.sqrt(z2 * (share * (1 - share) / trials + z2 / (4 * trials**2))) / (1 + z2 / trials)
    return middle - half, middle + half


def zero_variance_half_width(num_clusters: int, level: float) -> float:
    """Half-width of the interval if all clusters have the same value, so that the bootstrap variance is 0: z^2 / (n +
    z^2).

    This is the upper limit of Wilson's interval for 0 successes in n trials (E. B. Wilson 1927, JASA 22, 209-212). A
    model that answers none of 250 items correctly does not have a true score of exactly 0.
    """
    z = float(special.ndtri((1 + level) / 2))
    return z**2 / (num_clusters + z**2)


def with_shares(counts: pl.DataFrame, *, level: float = 0.95) -> pl.DataFrame:
    """Add the share of what was accepted, with Wilson's interval.

    Args:
        counts: columns accepted and rejected, among others.
        level: coverage.

    Returns:
        The same rows with share, low and high as proportions; null without verdicts.
    """
    shares = []
    for accepted, rejected in counts.select("accepted", "rejected").iter_rows():
        low, high = wilson_interval(accepted, accepted + rejected, level=level) if accepted + rejected else (None, None)
        shares.append((accepted / (accepted + rejected) if accepted + rejected else None, low, high))
    columns = dict.fromkeys(("share", "low", "high"), pl.Float64)
    return pl.concat([counts, pl.DataFrame(shares, schema=columns, orient="row")], how="horizontal")
