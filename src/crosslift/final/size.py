"""The size of a mixture: all items that the corpora hold in its shares, or a given number of items."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from crosslift.errors import MixtureError
from crosslift.mixtures.draw import CorpusIndex, draw
from crosslift.mixtures.mixture import Budget, Component, Mixture

_EQUAL = 1 - 1e-9
"""Amounts of languages with the largest share differ by rounding errors only."""


def sized_mixture(
    mixture: Mixture, indexes: Mapping[str, CorpusIndex], *, data_seed: int, num_items: int | None = None
) -> Mixture:
    """Scale a mixture to all items that its corpora hold, or to a number of items, without changing its shares.

    The size is the largest at which no language needs more items than there are: with `pairing` "disjoint" than all
    languages of a corpus have together, otherwise than each language has. A mixture that repeats items is not limited
    by its corpora. It is scaled until the language with the largest share uses each of its items once.

    Args:
        mixture: the mixture, of any size.
        indexes: corpus -> index with lengths in the unit of the mixture's budget.
        data_seed: seed of the sample.
        num_items: examples in total; None for all that the corpora hold.

    Returns:
        The mixture with shares and a budget of the new size.

    Raises:
        MixtureError: the corpora hold fewer items, a language would have no item, or the mixture has stages or limits
            the number of different items.
    """
    if mixture.stages or mixture.limits:
        what = "has stages" if mixture.stages else "limits the number of different items"
        raise MixtureError(
            f"mixtures.{mixture.name}: {what}, and its shares alone do not say how a larger one is made. Train it in a "
            "study of its own, with the family and budget that it needs."
        )
    shares = with_shares(mixture)
    fits = _limit(shares, indexes, data_seed)
    if num_items is None:
        return _of_size(shares, _largest(lambda amount: fits(_of_size(shares, amount))))
    wanted = _largest(lambda amount: count_items(_of_size(shares, amount), indexes, data_seed) <= num_items)
    found = _of_size(shares, wanted)
    if not mixture.repeat and not fits(found):
        most = count_items(_of_size(shares, _largest(lambda n: fits(_of_size(shares, n)))), indexes, data_seed)
        raise MixtureError(
            f"mixtures.{mixture.name}: {num_items:,} items were asked for, and the corpora hold {most:,} in these "
            "shares. Ask for fewer items, add items to the corpora, or set repeat = true for the mixture."
        )
    without = [tag for (_, tag), amount in found.amounts().items() if not amount]
    if without:
        raise MixtureError(
            f"mixtures.{mixture.name}: of {num_items:,} items none would be in {', '.join(dict.fromkeys(without))}. "
            "Ask for more items."
        )
    return found


def with_shares(mixture: Mixture) -> Mixture:
    """Express the exact counts of a mixture as shares of a budget of the same total."""
    if all(component.shares is not None for component in mixture.components):
        components = [
            replace(one, shares={tag: share for tag, share in (one.shares or {}).items() if share > 0})
            for one in mixture.components
        ]
        return replace(mixture, components=tuple(components))
    amounts = mixture.amounts()
    total = sum(amounts.values())
    components = [
        Component(
            corpus=corpus,
            shares={tag: amount / total for (name, tag), amount in amounts.items() if name == corpus and amount},
        )
        for corpus in mixture.corpora
    ]
    tokenizer = None if mixture.budget is None else mixture.budget.tokenizer
    budget = Budget(amount=total, unit=mixture.unit, tokenizer=tokenizer)
    return replace(mixture, components=tuple(components), budget=budget)


def count_items(mixture: Mixture, indexes: Mapping[str, CorpusIndex], data_seed: int) -> int:
    """Count the examples of a mixture; 0 if an amount is less than one item."""
    if mixture.unit == "items":
        return sum(mixture.amounts().values())
    if _is_tiny(mixture, indexes):
        return 0
    return draw(replace(mixture, repeat=True), indexes, data_seed=data_seed).height


def _of_size(mixture: Mixture, amount: int) -> Mixture:
    assert mixture.budget is not None
    return replace(mixture, budget=replace(mixture.budget, amount=amount))


def _limit(mixture: Mixture, indexes: Mapping[str, CorpusIndex], data_seed: int) -> Callable[[Mixture], bool]:
    """Return the function that decides whether the corpora hold enough for a mixture of these shares."""
    held = {(corpus, tag): _held(indexes[corpus], tag) for (corpus, tag) in mixture.amounts()}
    if mixture.repeat:
        large = _of_size(mixture, 10**9).amounts()
        leading = [cell for cell, amount in large.items() if amount >= _EQUAL * max(large.values())]
        first = max(leading, key=lambda cell: held[cell])
        return lambda sized: sized.amounts()[first] <= held[first]
    if mixture.pairing != "disjoint":
        return lambda sized: all(amount <= held[cell] for cell, amount in sized.amounts().items())
    if mixture.unit == "items":
        return lambda sized: all(
            sum(amount for (name, _), amount in sized.amounts().items() if name == corpus) <= indexes[corpus].num_items
            for corpus in sized.corpora
        )

    def can_be_drawn(sized: Mixture) -> bool:
        if _is_tiny(sized, indexes):
            return True
        try:
            draw(sized, indexes, data_seed=data_seed)
        except MixtureError:
            return False
        return True

    return can_be_drawn


def _held(index: CorpusIndex, tag: str) -> int:
    """What a corpus holds of a language, in the unit of the budget."""
    if tag not in index.languages:
        raise MixtureError(f"corpus '{index.name}' has no language '{tag}'. It has: {', '.join(index.languages)}.")
    return index.num_items if index.lengths is None else int(_lengths(index, tag).sum())


def _lengths(index: CorpusIndex, tag: str) -> np.ndarray:
    assert index.lengths is not None
    return np.asarray(index.lengths[:, index.languages.index(tag)], dtype=np.int64)


def _is_tiny(mixture: Mixture, indexes: Mapping[str, CorpusIndex]) -> bool:
    """Return whether an amount in tokens or bytes may be less than one item, so that nothing can be drawn."""
    return any(amount < _lengths(indexes[corpus], tag).max() for (corpus, tag), amount in mixture.amounts().items())


def _largest(holds: Callable[[int], bool]) -> int:
    """Return the largest positive number for which a condition holds that all smaller numbers satisfy; at least 1."""
    low, high = 1, 2
    while holds(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
