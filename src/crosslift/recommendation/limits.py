"""What a proposed mixture may contain: what the corpora hold, and not far beyond what was tried."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import polars as pl

from crosslift.errors import TransferError
from crosslift.recommendation.objective import Budget, Pool
from crosslift.recommendation.pattern import Pattern
from crosslift.transfer.model.observations import Amounts

MOST_BEYOND = 2.0
"""Largest amount of a language, and largest total, as a multiple of the largest that was tried."""
USABLE_TOKENS = 0.95
"""Share of a corpus's estimated tokens that a mixture may ask for: the estimate comes from the items that were used."""
LEAST_ITEMS = 5.0
"""Smallest amount in tokens, in mean items: the first item must fit."""


def limited_budget(
    *,
    amount: float | None,
    languages: Sequence[str],
    costs: Mapping[str, float],
    tried: Sequence[Amounts],
    pattern: Pattern,
    num_items: Mapping[str, int],
    tokens_per_item: Mapping[str, float] | None,
) -> Budget:
    """The budget with the limits of the data.

    A language has at most MOST_BEYOND times its largest amount tried, or, if it was never tried, the largest amount
    that any language had; the total is at most MOST_BEYOND times the largest total. Unless the study's mixtures repeat
    items, no corpus has to give more items than it holds.

    Args:
        amount: maximum cost; None: that of the most expensive mixture tried.
        languages: training languages that may be used; empty: those that were tried.
        costs: language -> cost of one unit.
        tried: amounts of the mixtures that were trained, or, before any was, that are planned.
        pattern: how the study's mixtures are built.
        num_items: corpus -> number of items.
        tokens_per_item: language -> mean tokens per item, if amounts are in tokens; None if they are in items.

    Raises:
        TransferError: a language is in no training corpus.
    """
    seen = dict.fromkeys(tag for one in tried for tag in sorted(one) if one[tag] > 0)
    unknown = [tag for tag in languages if tag not in pattern.parts]
    if unknown:
        raise TransferError(
            f"no training corpus has {', '.join(unknown)}. The study's mixtures can hold "
            f"{', '.join(pattern.parts)}. Add the languages to a corpus, or choose others with --languages"
        )
    tags = tuple(dict.fromkeys(languages)) or tuple(tag for tag in seen if tag in pattern.parts)
    most = {tag: max(one.get(tag, 0.0) for one in tried) for tag in seen}
    highest = max(most.values())
    lengths = _lengths(tokens_per_item, tags)
    available = {}
    for tag in tags:
        limit = MOST_BEYOND * most[tag] if tag in most else highest
        if not pattern.repeat:
            held = min(num_items.get(corpus, math.inf) / part for corpus, part in pattern.parts[tag].items())
            limit = min(limit, held * lengths[tag])
        available[tag] = math.floor(limit)
    # The most expensive mixture tried, at these costs
    default = max(sum(n * costs.get(tag, 1.0) for tag, n in one.items()) for one in tried)
    return Budget(
        amount=default if amount is None else amount,
        languages=tags,
        costs=dict(costs),
        available=available,
        total=MOST_BEYOND * max(sum(one.values()) for one in tried),
        pools=_pools(pattern, num_items, lengths),
        least={tag: 1.0 if tokens_per_item is None else math.ceil(LEAST_ITEMS * lengths[tag]) for tag in tags},
    )


def _lengths(tokens_per_item: Mapping[str, float] | None, tags: Sequence[str]) -> dict[str, float]:
    """Units per item that can be counted on, per language: 1 in items; a language without runs has the shortest."""
    if tokens_per_item is None:
        return dict.fromkeys(tags, 1.0)
    shortest = min(tokens_per_item.values(), default=1.0)
    return {tag: USABLE_TOKENS * tokens_per_item.get(tag, shortest) for tag in tags}


def _pools(pattern: Pattern, num_items: Mapping[str, int], lengths: Mapping[str, float]) -> list[Pool]:
    """One pool per corpus whose items may each be in one language only."""
    if pattern.pairing != "disjoint" or pattern.repeat:
        return []
    several = len(pattern.corpora) > 1  # amounts are then rounded per corpus
    pools = []
    for corpus in pattern.corpora:
        if corpus in num_items:
            parts = {tag: parts.get(corpus, 0.0) for tag, parts in pattern.parts.items() if tag in lengths}
            spare = sum(part > 0 for part in parts.values()) if several else 0
            per_unit = {tag: part / lengths[tag] for tag, part in parts.items()}
            pools.append(Pool(per_unit=per_unit, num_items=max(num_items[corpus] - spare, 0)))
    return pools


def tokens_per_item(runs: pl.DataFrame, model: str) -> dict[str, float]:
    """Language -> mean tokens per item over the runs of a model, or of all models if it has none.

    Args:
        runs: columns model, languages, num_items and num_tokens.
        model: name of the model.
    """
    here = runs.filter(model=model)
    long = (here if here.height else runs).explode("languages", "num_items", "num_tokens").drop_nulls()
    sums = long.filter(pl.col("num_items") > 0).group_by("languages").agg(pl.col("num_items", "num_tokens").sum())
    return {row["languages"]: row["num_tokens"] / row["num_items"] for row in sums.iter_rows(named=True)}
