"""Families: many mixtures from a few lines, named after what they vary.

    coverage        <family>-en, <family>-en-sw ...           which languages
    dose            <family>-0, <family>-50 ...               how much of the others beside a fixed part
    donors          <family>-en-es, <family>-en-sw ...        which second language
    leave_one_out   <family>-full, <family>-minus-sw ...      what a language contributes to the rest

With several corpora, setting "single" makes one mixture per corpus and puts the corpus into the name
(`coverage-math-train-en`); "multi" joins all corpora in each mixture, with equal shares.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from crosslift.mixtures.mixture import Budget, Component, Mixture
from crosslift.studies.parsing.schema import (
    BudgetTable,
    CoverageTable,
    DonorsTable,
    DoseTable,
    Family,
    LeaveOneOutTable,
)


class Member(NamedTuple):
    """One mixture of a family, before it knows its corpora. Shares or counts, per language."""

    suffix: str
    factors: dict[str, str]
    shares: dict[str, float] | None = None
    counts: dict[str, int] | None = None
    dose: int | None = None


def expand(name: str, family: Family) -> tuple[Mixture, ...]:
    """The mixtures of a family, in the order of the file; corpus by corpus where each has its own."""
    groups = [(name, family.corpora)]
    if len(family.corpora) > 1 and family.setting == "single":
        groups = [(f"{name}-{corpus}", [corpus]) for corpus in family.corpora]
    table: BudgetTable | None = getattr(family, "budget", None)
    return tuple(
        Mixture(
            name=f"{stem}-{member.suffix}",
            components=tuple(part for corpus in corpora for part in _components(corpus, member, family, len(corpora))),
            pairing=family.pairing,
            budget=None if table is None else budget(table),
            order=family.order,
            repeat=family.repeat,
            family=name,
            dose=member.dose,
            factors=member.factors,
        )
        for stem, corpora in groups
        for member in _members(family)
    )


def _components(corpus: str, member: Member, family: Family, num_corpora: int) -> Iterator[Component]:
    """One per corpus; two where the fixed part of a dose comes from another corpus."""
    if member.counts is None:
        shares = {tag: share / num_corpora for tag, share in (member.shares or {}).items()}
        yield Component(corpus=corpus, shares=shares)
        return
    counts = dict(member.counts)
    if isinstance(family, DoseTable) and corpus in family.fixed_from:
        yield Component(corpus=family.fixed_from[corpus], counts={tag: counts.pop(tag) for tag in family.fixed})
    yield Component(corpus=corpus, counts=counts)


def _members(family: Family) -> Iterator[Member]:
    match family:
        case CoverageTable():
            for tags in language_sets(family):
                yield Member("-".join(tags), {"languages": "-".join(tags)}, _equal(tags, family.budget))
        case LeaveOneOutTable():
            yield Member("full", {"left_out": ""}, _equal(family.languages, family.budget))
            for left in family.languages:
                rest = [tag for tag in family.languages if tag != left]
                yield Member(f"minus-{left}", {"left_out": left}, _equal(rest, family.budget))
        case DonorsTable():
            for donor in family.donors:
                shares = {family.pivot: 1 - family.donor_share, donor: family.donor_share}
                yield Member(f"{family.pivot}-{donor}", {"donor": donor}, shares)
        case DoseTable():
            for dose in family.doses:
                counts = {**family.fixed, **dict.fromkeys(family.languages, dose)}
                yield Member(str(dose), {"dose": str(dose)}, counts=counts, dose=dose)
        case _:
            raise TypeError(f"no family of mixtures: {type(family).__name__}")


def _equal(tags: list[str], table: BudgetTable) -> dict[str, float]:
    """Equal shares of a total; of a budget per language each language has all. Of no language, which rules refuse,
    none."""
    return dict.fromkeys(tags, 1.0 if table.per == "language" else 1 / max(len(tags), 1))


def language_sets(family: CoverageTable) -> list[list[str]]:
    """The language sets of a coverage family, one per mixture."""
    if family.languages is not None:
        return family.languages
    nested = family.nested or []
    return [nested[:size] for size in family.sizes or range(1, len(nested) + 1)]


def budget(table: BudgetTable) -> Budget:
    """The budget that a table asks for."""
    return Budget(amount=table.amount, unit=table.unit, per=table.per, tokenizer=table.tokenizer)
