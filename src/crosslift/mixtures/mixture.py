"""What a mixture is, and how much of each language it asks for. Which items it gets is `draw`.

Shares become whole amounts by largest remainder: rounding each share by itself gives totals that move with the number
of languages, and then "more languages" is also "a little more data".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Unit = Literal["items", "tokens", "bytes"]
Pairing = Literal["shared", "disjoint", "independent"]


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How much: in all (`per` "total", split by shares), or of each language (`per` "language"; volume then grows)."""

    amount: int
    unit: Unit = "items"
    per: Literal["total", "language"] = "total"
    tokenizer: str | None = None
    """Name of the model whose tokenizer counts; needed for the unit "tokens" only."""


@dataclass(frozen=True, kw_only=True)
class Component:
    """One corpus in a mixture. Exactly one of `shares` and `counts` is given."""

    corpus: str
    shares: dict[str, float] | None = None
    """Language -> share of the mixture's budget. With `per` "total" the shares of all components sum to 1; with `per`
    "language" they sum to 1 over the components of each language (so that a single corpus says 1 everywhere)."""
    counts: dict[str, int] | None = None
    """Language -> exact amount in the budget's unit. A zero is kept: it says of what language a dose of 0 is."""


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """Components either all have shares (and there is a budget) or all have counts."""

    name: str
    components: tuple[Component, ...]
    pairing: Pairing
    """`shared`: the same items whatever the languages, so only language changes. `disjoint`: each item in exactly one
    language. `independent`: drawn apart per language. There is no default: the three answer different questions."""
    budget: Budget | None = None
    """None where all components give counts in items."""
    order: Literal["shuffled", "by_language"] = "shuffled"
    repeat: bool = False
    """May items be repeated when the corpus is too small? Otherwise too few items is an error."""
    family: str = ""
    dose: int | None = None
    factors: dict[str, str] = field(default_factory=dict)
    """What the family varied, as text for tables: {"left_out": "sw"}, {"donor": "de"}."""

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages trained on (amount above zero), in order of first mention. All others are unseen."""
        seen: dict[str, None] = {}
        for component in self.components:
            for tag, amount in (component.counts or component.shares or {}).items():
                if amount > 0:
                    seen[tag] = None
        return tuple(seen)

    @property
    def corpora(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(component.corpus for component in self.components))

    @property
    def unit(self) -> Unit:
        return "items" if self.budget is None else self.budget.unit

    def amounts(self) -> dict[tuple[str, str], int]:
        """(corpus, language) -> whole amount in the budget's unit, zeros included, in order of mention.

        With shares, `per` "total": the amounts sum to the budget exactly. `per` "language": those of each language do.
        """
        cells = [
            (component, tag) for component in self.components for tag in (component.counts or component.shares or {})
        ]
        amounts = {(component.corpus, tag): (component.counts or {}).get(tag, 0) for component, tag in cells}
        if self.budget is None or all(component.counts is not None for component in self.components):
            return amounts
        groups = [""] if self.budget.per == "total" else list(dict.fromkeys(tag for _, tag in cells))
        for group in groups:
            inside = [(component, tag) for component, tag in cells if group in ("", tag)]
            parts = largest_remainder(self.budget.amount, [(component.shares or {})[tag] for component, tag in inside])
            amounts.update(
                {(component.corpus, tag): part for (component, tag), part in zip(inside, parts, strict=True)}
            )
        return amounts


def largest_remainder(total: int, shares: Sequence[float]) -> list[int]:
    """Whole numbers that sum to `total` and differ from `total * share` by less than 1 (Hamilton's method).

    Equal remainders go to the earlier share. Shares are normalised by their sum. A larger total can cost a language one
    unit (the Alabama paradox), never more.
    """
    scale = total / math.fsum(shares)
    # Nine decimals: 0.29 * 100 is 28.999999999999996, and ties must not be decided by such noise.
    exact = [round(share * scale, 9) for share in shares]
    parts = [math.floor(value) for value in exact]
    by_remainder = sorted(range(len(parts)), key=lambda i: (round(parts[i] - exact[i], 9), i))
    for i in by_remainder[: total - sum(parts)]:
        parts[i] += 1
    return parts
