"""Power analysis: the smallest difference that a planned study can detect."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist

DISCORDANCE = 0.2
"""Share of items that exactly one of two runs answers correctly. Observed values are .14 to .28 for fine-tuned models
on MGSM and API-Bank; after a first study, use its own value."""
LANGUAGE_CORRELATION = 0.1
"""Correlation between two languages of an item's contribution to the difference between two runs; items are
translations of each other. .07 (math) and .11 (API calling) in the pocket studies."""
RUN_NOISE = 0.02
"""Standard deviation, between runs that differ only in the training seed, of a mean over languages. 1.5 to 2.2 points
in the pocket studies."""


def detectable_run_difference(
    num_items: int, *, discordance: float = DISCORDANCE, alpha: float = 0.05, power: float = 0.8
) -> float:
    """Smallest true difference in accuracy between two runs on the same items that a paired test detects.

    Solves difference = (z(1 - alpha/2) sqrt(d) + z(power) sqrt(d - difference^2)) / sqrt(n) for n items with
    discordance d, the sample-size formula of McNemar's test by R. J. Connor (1987), solved for the difference. For 250
    items and d = .2 it is .079. Run-to-run noise is not included; it requires several seeds.

    Args:
        num_items: items that both runs answer.
        discordance: share of items that exactly one of the runs answers correctly.
        alpha: two-sided significance level.
        power: probability of detection.

    Returns:
        A share in (0, 1]; the discordance if no possible difference is detectable.
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
    """Sample sizes of a comparison of two mixtures."""

    num_items: int
    """Items per language."""
    num_languages: int = 1
    """Languages that the difference is averaged over."""
    num_seeds: int = 1
    """Runs per mixture."""
    num_pairs: int = 1
    """Models or matched mixtures that the difference is averaged over, each with its own runs."""


def standard_error(
    design: Design,
    *,
    discordance: float = DISCORDANCE,
    language_correlation: float = LANGUAGE_CORRELATION,
    run_noise: float = RUN_NOISE,
) -> float:
    """Standard error of the difference between two mixtures' means over items, languages and seeds.

    sqrt( d (1 + (L - 1) r) / (L n) * (1 / s + k (1 - 1 / s)) / p + 2 v / (s p) )

    with n items, L languages, s seeds, p pairs, discordance d, correlation r between languages and run variance v. Half
    of the discordance is attributed to the mixtures (k = 1/2); averaging over seeds does not reduce this half.

    Args:
        design: sample sizes.
        discordance: share of items that exactly one of two runs answers correctly.
        language_correlation: correlation between languages of an item's contribution to the difference.
        run_noise: run-to-run standard deviation of a mean over languages, as a share.

    Returns:
        A share (hundredths are points).
    """
    by_items = (
        discordance
        * (1 + (design.num_languages - 1) * language_correlation)
        / (design.num_languages * design.num_items)
    )
    kept = 1 / design.num_seeds + 0.5 * (1 - 1 / design.num_seeds)
    by_runs = 2 * run_noise**2 / (design.num_seeds * design.num_pairs)
    return math.sqrt(by_items * kept / design.num_pairs + by_runs)


def detectable_difference(
    design: Design,
    *,
    discordance: float = DISCORDANCE,
    language_correlation: float = LANGUAGE_CORRELATION,
    run_noise: float = RUN_NOISE,
    alpha: float = 0.05,
    power: float = 0.8,
) -> float:
    """Smallest true difference between two mixtures, beyond that of two runs, that a design detects.

    (z(1 - alpha/2) + z(power)) times the standard error, which includes run-to-run noise, also for a single seed.

    Args:
        design: sample sizes.
        discordance: share of items that exactly one of two runs answers correctly.
        language_correlation: correlation between languages of an item's contribution to the difference.
        run_noise: run-to-run standard deviation of a mean over languages, as a share.
        alpha: two-sided significance level.
        power: probability of detection.

    Returns:
        A share (hundredths are points).
    """
    error = standard_error(
        design, discordance=discordance, language_correlation=language_correlation, run_noise=run_noise
    )
    return (_quantile(1 - alpha / 2) + _quantile(power)) * error


def detectable_after_doubling(design: Design, **assumed: float) -> dict[str, float]:
    """Detectable difference of a design, and of the designs with one sample size doubled.

    Args:
        design: the planned sample sizes.
        assumed: arguments of `detectable_difference`.

    Returns:
        Label -> detectable difference, a share.
    """
    changed = {
        "as planned": design,
        "twice the items": replace(design, num_items=2 * design.num_items),
        "twice the languages": replace(design, num_languages=2 * design.num_languages),
        "twice the seeds": replace(design, num_seeds=2 * design.num_seeds),
        "twice the models": replace(design, num_pairs=2 * design.num_pairs),
    }
    return {label: detectable_difference(one, **assumed) for label, one in changed.items()}
