"""What a study will be able to tell, before it costs anything."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist

DISCORDANCE = 0.2
"""Share of items that exactly one of two runs gets right. Between .14 and .28 for fine-tuned models on MGSM and
API-Bank; after a first study, take its own."""
SHARED = 0.1
"""Correlation between two languages of what an item adds to a difference between two runs: items are translations of
each other. .07 (math) and .11 (API calling) in the pocket studies."""
RUN_NOISE = 0.02
"""Standard deviation between runs that differ in the training seed only, of a mean over languages. 1.5 to 2.2 points in
the pocket studies."""


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
    found, wanted = _quantile(1 - alpha / 2), _quantile(power)
    most = found * math.sqrt(discordance) + wanted * math.sqrt(max(0.0, discordance - discordance**2))
    if discordance * math.sqrt(num_items) < most:
        return discordance
    # The equation, squared, is a quadratic one in the difference; the sign of z(power) tells its root.
    square = num_items + wanted**2
    root = wanted * math.sqrt(max(0.0, discordance * (square - found**2)))
    return (found * math.sqrt(discordance * num_items) + root) / square


def _quantile(probability: float) -> float:
    return NormalDist().inv_cdf(probability)


@dataclass(frozen=True, kw_only=True)
class Design:
    """What a comparison of two mixtures is made with."""

    items: int
    languages: int = 1
    """That the difference is averaged over."""
    seeds: int = 1
    """Runs on each side."""
    pairs: int = 1
    """Models or matched mixtures that are averaged over, each with runs of its own."""


def standard_error(
    design: Design, *, discordance: float = DISCORDANCE, shared: float = SHARED, run_noise: float = RUN_NOISE
) -> float:
    """Of the difference between two mixtures' means over items, languages and seeds.

    sqrt( d (1 + (L - 1) r) / (L n) * (1 / s + k (1 - 1 / s)) / p + 2 v / (s p) )

    with n items, L languages, s seeds, p pairs, discordance d, correlation r between languages, run variance v. Half of
    an item's discordance is taken to belong to the mixtures (k = 1/2): it does not average away over seeds.
    """
    by_items = discordance * (1 + (design.languages - 1) * shared) / (design.languages * design.items)
    kept = 1 / design.seeds + 0.5 * (1 - 1 / design.seeds)
    by_runs = 2 * run_noise**2 / (design.seeds * design.pairs)
    return math.sqrt(by_items * kept / design.pairs + by_runs)


def detectable(
    design: Design,
    *,
    discordance: float = DISCORDANCE,
    shared: float = SHARED,
    run_noise: float = RUN_NOISE,
    alpha: float = 0.05,
    power: float = 0.8,
) -> float:
    """The smallest true difference between two mixtures, not just two runs, that such a design finds.

    (z(1 - alpha/2) + z(power)) times the standard error. Run-to-run noise is in it, so that a single seed is judged by
    what it can say of the mixture.
    """
    error = standard_error(design, discordance=discordance, shared=shared, run_noise=run_noise)
    return (_quantile(1 - alpha / 2) + _quantile(power)) * error


def what_buys_what(design: Design, **assumed: float) -> dict[str, float]:
    """The design as it is, and with twice of each thing that can be bought: label and smallest difference."""
    changed = {
        "as planned": design,
        "twice the items": replace(design, items=2 * design.items),
        "twice the languages": replace(design, languages=2 * design.languages),
        "twice the seeds": replace(design, seeds=2 * design.seeds),
        "twice the models": replace(design, pairs=2 * design.pairs),
    }
    return {label: detectable(one, **assumed) for label, one in changed.items()}
