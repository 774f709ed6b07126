"""What a proposed mixture may contain: what the corpora hold, and not far beyond what was tried."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import polars as pl

from crosslift.errors import TransferError
from crosslift.recommendation.objective import Budget, Pool
from crosslift.recommendation.pattern import Pattern
from crosslift.recommendation.question import Question
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
    existing: Mapping[str, float] | None = None,
    fixed_costs: Mapping[str, float] | None = None,
    translatable: float | None = None,
) -> Budget:
    """The budget with the limits of the data.

    A language has at most MOST_BEYOND times its largest amount tried, or, if it was never tried, the largest amount
    that any language had; the total is at most MOST_BEYOND times the largest total. Unless the study's mixtures repeat
    items, or more items can be translated, no corpus has to give more items than it holds.

    Args:
        amount: maximum cost; None: that of the most expensive mixture tried.
        languages: training languages that may be used; empty: those that were tried.
        costs: language -> cost of one unit.
        tried: amounts of the mixtures that were trained, or, before any was, that are planned.
        pattern: how the study's mixtures are built.
        num_items: corpus -> number of items.
        tokens_per_item: language -> mean tokens per item, if amounts are in tokens; None if they are in items.
        existing: language -> amount that costs nothing; may be infinite.
        fixed_costs: language -> cost of any new data.
        translatable: items that can be translated into each language; None: what the corpora hold is the limit.

    Raises:
        TransferError: a language is in no training corpus.
    """
    seen = dict.fromkeys(tag for one in tried for tag in sorted(one) if one[tag] > 0)
    unknown = [tag for tag in languages if tag not in pattern.parts]
    if unknown:
        raise TransferError(
            f"no training corpus has {', '.join(unknown)}. The study's mixtures can hold "
            f"{', '.join(pattern.parts)}. Add the languages to a corpus, say how many items can be translated "
            "(--translatable), or choose others with --languages"
        )
    tags = tuple(dict.fromkeys(languages)) or tuple(tag for tag in seen if tag in pattern.parts)
    most = {tag: max(one.get(tag, 0.0) for one in tried) for tag in seen}
    highest = max(most.values())
    lengths = _lengths(tokens_per_item, tags)
    available = {}
    for tag in tags:
        limit = MOST_BEYOND * most[tag] if tag in most else highest
        if not pattern.repeat:
            items = max(_held_items(pattern, num_items, tag), translatable or 0.0)
            limit = min(limit, items * lengths[tag])
        available[tag] = math.floor(limit)
    budget = Budget(
        amount=0.0,
        languages=tags,
        costs=dict(costs),
        existing=dict(existing or {}),
        fixed_costs=dict(fixed_costs or {}),
        available=available,
        total=MOST_BEYOND * max(sum(one.values()) for one in tried),
        pools=_pools(pattern, num_items, lengths, translatable),
        least={tag: 1.0 if tokens_per_item is None else math.ceil(LEAST_ITEMS * lengths[tag]) for tag in tags},
    )
    # By default that of the most expensive mixture tried, at these costs
    return replace(budget, amount=max(map(budget.cost_of, tried)) if amount is None else amount)


def held_amounts(
    pattern: Pattern, num_items: Mapping[str, int], tokens_per_item: Mapping[str, float] | None
) -> dict[str, float]:
    """Language -> largest amount that a mixture of the pattern can draw from the corpora as they are.

    Args:
        pattern: how the study's mixtures are built, before languages were added that no corpus has.
        num_items: corpus -> number of items.
        tokens_per_item: as for `limited_budget`.
    """
    lengths = _lengths(tokens_per_item, list(pattern.parts))
    if pattern.repeat:
        return dict.fromkeys(pattern.parts, math.inf)
    return {tag: math.floor(_held_items(pattern, num_items, tag) * lengths[tag]) for tag in pattern.parts}


def unit_costs(question: Question, languages: Sequence[str], tokens_per_item: Mapping[str, float]) -> dict[str, float]:
    """Language -> cost of one unit of its amount, for the languages whose cost is given.

    A cost per token is converted to one per item, or the other way round, with the mean length of the language's items
    under the model's tokenizer; a language without runs is taken to have the longest items, so that it is not cheaper
    than expected.

    Args:
        question: the costs and the unit.
        languages: training languages.
        tokens_per_item: language -> mean tokens per item.
    """
    longest, shortest = max(tokens_per_item.values(), default=1.0), min(tokens_per_item.values(), default=1.0)
    found = {}
    for tag in languages:
        cost = question.costs.get(tag)
        if cost is None:
            continue
        if cost.per == "token" and question.unit == "items":
            found[tag] = cost.amount * tokens_per_item.get(tag, longest)
        elif cost.per == "item" and question.unit == "tokens":
            found[tag] = cost.amount / tokens_per_item.get(tag, shortest)
        else:
            found[tag] = cost.amount
    return found


def _held_items(pattern: Pattern, num_items: Mapping[str, int], tag: str) -> float:
    return min(num_items.get(corpus, math.inf) / part for corpus, part in pattern.parts[tag].items())


def _lengths(tokens_per_item: Mapping[str, float] | None, tags: Sequence[str]) -> dict[str, float]:
    """Units per item that can be counted on, per language: 1 in items; a language without runs has the shortest."""
    if tokens_per_item is None:
        return dict.fromkeys(tags, 1.0)
    shortest = min(tokens_per_item.values(), default=1.0)
    return {tag: USABLE_TOKENS * tokens_per_item.get(tag, shortest) for tag in tags}


def _pools(
    pattern: Pattern, num_items: Mapping[str, int], lengths: Mapping[str, float], translatable: float | None
) -> list[Pool]:
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
            there = max(num_items[corpus], (translatable or 0.0) * pattern.overall.get(corpus, 0.0))
            pools.append(Pool(per_unit=per_unit, num_items=max(there - spare, 0)))
    return pools


def tokens_per_item(runs: pl.DataFrame, model: str) -> dict[str, float]:
    """Language -> mean tokens per item over the runs of a model, or of all models if it has none.

    Args:
        runs: columns model, languages, num_items and num_tokens.
        model: name of the model.
    """
    here = runs.filter(model=model)
    long = (here if here.height else runs).select("languages", "num_items", "num_tokens")
    long = long.explode("languages", "num_items", "num_tokens").drop_nulls()
    sums = long.filter(pl.col("num_items") > 0).group_by("languages").agg(pl.col("num_items", "num_tokens").sum())
    return {row["languages"]: row["num_tokens"] / row["num_items"] for row in sums.iter_rows(named=True)}
