"""Wilson's score interval: for shares of independent trials, and where resampling has nothing to say."""

from __future__ import annotations

import math

from scipy import special
from scipy.stats import norm


def wilson_interval(successes: int, trials: int, *, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share (Wilson 1927), for independent trials.

    Raises:
        ValueError: no trials, or more successes than trials.
    """
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"{successes} of {trials} is not a share")
    return wilson_interval_of_share(successes / trials, trials, level=level)


def wilson_interval_of_share(share: float, trials: float, *, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share in so many trials, which need not be whole."""
    z2 = float(norm.ppf((1 + level) / 2)) ** 2
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = math.sqrt(z2 * (share * (1 - share) / trials + z2 / (4 * trials**2))) / (1 + z2 / trials)
    return middle - half, middle + half


def zero_variance_half_width(num_clusters: int, level: float) -> float:
    """Half-width where every cluster says the same, so that there is nothing to resample: z^2 / (n + z^2).

    The upper limit of 0 successes in n of E. B. Wilson (1927), JASA 22, 209-212. A model that answered 0 of 250 items
    is not known to score exactly 0.
    """
    z = float(special.ndtri((1 + level) / 2))
    return z**2 / (num_clusters + z**2)
