"""What a study will be able to tell, before it costs anything."""

from __future__ import annotations

import math

from scipy.optimize import brentq
from scipy.stats import norm

DISCORDANCE = 0.2
"""Share of items that exactly one of two runs gets right. Between .14 and .28 for fine-tuned models on MGSM and
API-Bank; after a first study, take its own."""


def smallest_difference(
    num_items: int, *, discordance: float = DISCORDANCE, alpha: float = 0.05, power: float = 0.8
) -> float:
    """The smallest true difference in accuracy between two runs on the same items that a paired test would find.

    Solves difference = (z(1 - alpha/2) sqrt(d) + z(power) sqrt(d - difference^2)) / sqrt(n) for n items of which a
    share d is discordant: the sample-size formula of McNemar's test by Connor (1987), turned round. For 250 items and
    d = .2 it is .079. Noise between runs of one configuration comes on top; it takes several seeds to average it away.

    Returns:
        A share in (0, 1]; the discordance itself where even that would not be found.
    """
    found, wanted = norm.ppf(1 - alpha / 2), norm.ppf(power)

    def excess(difference: float) -> float:
        spread = found * math.sqrt(discordance) + wanted * math.sqrt(max(0.0, discordance - difference**2))
        return float(difference - spread / math.sqrt(num_items))

    if excess(discordance) < 0:
        return discordance
    return float(brentq(excess, 0.0, discordance))
