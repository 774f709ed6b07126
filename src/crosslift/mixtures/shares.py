"""Shares of languages: by temperature, and with a limit of uses of each item."""

from __future__ import annotations

from collections.abc import Mapping

from crosslift.mixtures.mixture import largest_remainder


def temperature_shares(sizes: Mapping[str, float], temperature: float) -> dict[str, float]:
    """Shares proportional to size^(1 / T), the usual sampling of multilingual training.

    T = 1 is proportional to size; the larger T, the more equal the shares (N. Arivazhagan et al. 2019, Massively
    multilingual neural machine translation in the wild, with T = 5).

    Args:
        sizes: language -> size of its data, in any unit.
        temperature: T, above 0.

    Returns:
        Language -> share; they sum to 1.
    """
    largest = max(sizes.values())
    weights = {tag: (size / largest) ** (1 / temperature) for tag, size in sizes.items()}
    total = sum(weights.values())
    return {tag: weight / total for tag, weight in weights.items()}


def limited_amounts(total: int, weights: Mapping[str, float], limits: Mapping[str, int]) -> dict[str, int]:
    """Divide a total in proportion to weights, as far as limits allow.

    What a language cannot take goes to the others in proportion to their weights (H. W. Chung et al. 2023, UniMax:
    fairer and more effective language sampling for large-scale multilingual pretraining).

    Args:
        total: the amount to divide.
        weights: language -> weight, above 0.
        limits: language -> largest amount.

    Returns:
        Language -> amount. The sum is the total, or that of the limits if it is less.
    """
    found: dict[str, int] = {}
    left = dict(weights)
    while left:
        rest = total - sum(found.values())
        parts = dict(zip(left, largest_remainder(rest, list(left.values())), strict=True))
        full = [tag for tag, amount in parts.items() if amount >= limits[tag]]
        if not full:
            found |= parts
            break
        for tag in full:
            found[tag] = limits[tag]
            del left[tag]
    return {tag: found[tag] for tag in weights}
