"""Specification of a mixture and the amount of each language. `draw` samples the items.

Shares are converted to integer amounts by the largest-remainder method. If each share were rounded separately, the
total would depend on the number of languages, and mixtures with more languages would also have slightly more data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Unit = Literal["items", "tokens", "bytes"]
Pairing = Literal["shared", "disjoint", "independent"]
NATIVE, TRANSLATED = "native", "translated"
"""What a mixture says of the origin of a corpus."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Amount of training data.

    With `per` "total" the amount is the total, divided by shares. With `per` "language" it is the amount of each
    language, so that the total grows with the number of languages.
    """

    amount: int
    unit: Unit = "items"
    per: Literal["total", "language"] = "total"
    tokenizer: str | None = None
    """Name of the model whose tokenizer counts the tokens; required for the unit "tokens" only."""
    if_fewer: Literal["error", "all"] = "error"
    """"all": if the corpus has fewer items, the amount is their number. Mixtures of one corpus then stay comparable
    although it is not known before how many items a translation leaves."""


@dataclass(frozen=True, kw_only=True)
class Component:
    """One corpus of a mixture. Exactly one of `shares` and `counts` must be given."""

    corpus: str
    shares: dict[str, float] | None = None
    """Language -> share of the budget of the mixture. With `per` "total" the shares of all components sum to 1. With
    `per` "language" they sum to 1 over the components of each language, so a single corpus has shares of 1."""
    counts: dict[str, int] | None = None
    """Language -> exact amount in the unit of the budget. A zero is kept, to name the language of a dose of 0."""
    different: dict[str, int] | None = None
    """Language -> largest number of different items; larger amounts repeat these. None: as many as the corpus has."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage of a curriculum: examples that are trained on before those of the next stage."""

    amounts: dict[str, dict[str, int]]
    """Corpus -> language -> amount that no earlier stage has, in the unit of the budget."""
    replayed: dict[str, dict[str, int]] = field(default_factory=dict)
    """Corpus -> language -> amount of examples of earlier stages that are trained on again."""


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """A language mixture. Its components either all have shares, with a budget, or all have counts."""

    name: str
    components: tuple[Component, ...]
    pairing: Pairing
    """`shared`: the same items in all languages, so that only the language varies. `disjoint`: each item in at most one
    language. `independent`: sampled separately per language. There is no default, because the three answer different
    questions."""
    budget: Budget | None = None
    """None if all components have counts in items."""
    order: Literal["shuffled", "by_language"] = "shuffled"
    """Order of the training examples."""
    repeat: bool = False
    """Repeat items if the corpus is too small; otherwise that is an error."""
    family: str = ""
    """Mixture family that generated this mixture; "" if it is explicit."""
    dose: int | None = None
    """Dose of a mixture in a dose family, else None."""
    factors: dict[str, str] = field(default_factory=dict)
    """Factors that the family varies, as text for tables: {"left_out": "sw"}, {"donor": "de"}."""
    origins: dict[str, str] = field(default_factory=dict)
    """Corpus -> NATIVE or TRANSLATED, for mixtures that vary the origin of their texts; shown in the manifest."""
    stages: tuple[Stage, ...] = ()
    """Stages in the order of training; together they have the counts of the components. Empty: one stage. `order` is
    the order within a stage."""

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages with an amount above zero, in order of first mention; all other languages are unseen."""
        seen: dict[str, None] = {}
        for component in self.components:
            for tag, amount in (component.counts or component.shares or {}).items():
                if amount > 0:
                    seen[tag] = None
        return tuple(seen)

    @property
    def corpora(self) -> tuple[str, ...]:
        """Names of the corpora, in order of first mention."""
        return tuple(dict.fromkeys(component.corpus for component in self.components))

    @property
    def unit(self) -> Unit:
        """Unit of the amounts."""
        return "items" if self.budget is None else self.budget.unit

    def amounts(self) -> dict[tuple[str, str], int]:
        """Integer amounts: (corpus, language) -> amount in the unit of the budget, zeros included, in order of mention.

        With shares and `per` "total" all amounts sum exactly to the budget; with `per` "language" those of each
        language do.
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

    def new_amounts(self) -> dict[tuple[str, str], int]:
        """The amounts without what later stages replay: what is drawn from the corpora."""
        amounts = self.amounts()
        for stage in self.stages:
            for corpus, replayed in stage.replayed.items():
                for tag, amount in replayed.items():
                    amounts[corpus, tag] -= amount
        return amounts

    @property
    def limits(self) -> dict[tuple[str, str], int]:
        """(corpus, language) -> largest number of different items, where there is one."""
        return {
            (component.corpus, tag): number
            for component in self.components
            for tag, number in (component.different or {}).items()
        }


def largest_remainder(total: int, shares: Sequence[float]) -> list[int]:
    """Apportion an integer total by shares with the largest-remainder method (Hamilton's method).

    Shares are normalized by their sum. Among equal remainders the earlier share has priority. A larger total can reduce
    a part by one unit (the Alabama paradox), never by more.

    Args:
        total: the number to apportion.
        shares: non-negative shares, not all zero.

    Returns:
        Integers that sum to `total` and differ from `total * share` by less than 1.
    """
    scale = total / math.fsum(shares)
    # Nine decimals, because 0.29 * 100 is 28.999999999999996 and rounding errors must not decide ties.
    exact = [round(share * scale, 9) for share in shares]
    parts = [math.floor(value) for value in exact]
    by_remainder = sorted(range(len(parts)), key=lambda i: (round(parts[i] - exact[i], 9), i))
    for i in by_remainder[: total - sum(parts)]:
        parts[i] += 1
    return parts
