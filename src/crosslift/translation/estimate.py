"""Estimated size and cost of a translation, from its items or from the size of data that are not here yet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from crosslift.translation.protect import mask
from crosslift.translation.recipe import Recipe, Service
from crosslift.translation.rows import Item, translatable_texts, translatable_values

BYTES_PER_TOKEN = 3.5
"""Approximate UTF-8 bytes per token of English, for the cost estimate."""
EXPANSION_FACTOR = 2.0
"""Approximate tokens of a translation per token of English, on average over languages."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Estimated size and cost of a translation."""

    num_texts: int
    """Requests of the first attempt."""
    num_prompt_tokens: int
    num_completion_tokens: int
    cost: float | None
    """Cost in the currency of the prices; None without prices."""


def estimate(recipe: Recipe, service: Service, items: Iterable[Item]) -> Estimate:
    """Estimate texts, tokens and cost of the first attempt of all requests, back-translation included."""
    num_texts, num_bytes = measure(recipe, items)
    return estimate_of_size(recipe, service, num_texts=num_texts, num_bytes=num_bytes)


def measure(recipe: Recipe, items: Iterable[Item]) -> tuple[int, int]:
    """Count the different texts that are translated into each language, and their UTF-8 bytes without protected parts.

    Args:
        recipe: the recipe.
        items: items of the source corpus.
    """
    texts = {
        masked.text
        for item in items
        for masked in [*map(mask, translatable_values(item, recipe)), *translatable_texts(item, recipe, {})]
    }
    return len(texts), sum(len(text.encode()) for text in texts)


def estimate_of_size(recipe: Recipe, service: Service, *, num_texts: int, num_bytes: float) -> Estimate:
    """Estimate tokens and cost of the first attempt of all requests from the size of the source.

    Args:
        recipe: the recipe.
        service: the translator of the site, with its prices.
        num_texts: texts per language, as counted by `measure`.
        num_bytes: their UTF-8 bytes.
    """
    overhead = len(recipe.prompt.encode()) / BYTES_PER_TOKEN
    ways = 2 if recipe.back_translate else 1
    num_requests = num_texts * len(recipe.languages) * ways
    inside = num_bytes / BYTES_PER_TOKEN * len(recipe.languages)
    prompt = inside * (1 + (EXPANSION_FACTOR if ways == 2 else 0)) + overhead * num_requests
    completion = inside * (EXPANSION_FACTOR + (1 if ways == 2 else 0))
    cost = None
    if service.prices is not None:
        cost = (prompt * service.prices[0] + completion * service.prices[1]) / 1e6
    return Estimate(
        num_texts=num_requests, num_prompt_tokens=round(prompt), num_completion_tokens=round(completion), cost=cost
    )
