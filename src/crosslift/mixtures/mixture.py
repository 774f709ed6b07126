"""What a mixture is. Which items it gets is `draw`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Unit = Literal["items", "tokens", "bytes"]
Pairing = Literal["shared", "disjoint", "independent"]


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How much, in all (`per` "total", split by the shares) or of each language (`per` "language", volume then grows)."""

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
    """Language -> share of the mixture's budget. Over all components the shares sum to 1 (`per` "total")."""
    counts: dict[str, int] | None = None
    """Language -> exact amount in the budget's unit."""


@dataclass(frozen=True, kw_only=True)
class Mixture:
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
