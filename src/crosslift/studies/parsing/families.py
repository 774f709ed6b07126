"""Expansion of mixture families into mixtures. The name of a mixture states the factor that its family varies.

    kind            names of the mixtures                     varied factor
    coverage        <family>-en, <family>-en-sw ...           set of languages
    dose            <family>-0, <family>-50 ...               amount of the other languages, beside a fixed part
    donors          <family>-en, <family>-en-es ...           second language, none in the control
    leave_one_out   <family>-full, <family>-minus-sw ...      omitted language

With several corpora, the setting "single" creates one mixture per corpus and includes the corpus in the name
(`coverage-math-train-en`); "multi" combines all corpora in each mixture, with equal shares.
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
    """One mixture of a family before its corpora are assigned, with either shares or counts per language."""

    suffix: str
    factors: dict[str, str]
    shares: dict[str, float] | None = None
    counts: dict[str, int] | None = None
    dose: int | None = None


def expand(name: str, family: Family) -> tuple[Mixture, ...]:
    """Expand a family into its mixtures.

    Args:
        name: Name of the family.
        family: Table of the family in the study file.

    Returns:
        The mixtures in the order of the study file, grouped by corpus if the setting is "single".

    Raises:
        TypeError: The family is of an unknown kind.
    """
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
    """Yield one component per corpus, or two if `fixed_from` takes the fixed part of a dose from another corpus."""
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
            if family.pivot_alone:
                yield Member(family.pivot, {"donor": ""}, {family.pivot: 1.0})
            for donor in family.donors:
                shares = {family.pivot: 1 - family.donor_share, donor: family.donor_share}
                yield Member(f"{family.pivot}-{donor}", {"donor": donor}, shares)
        case DoseTable():
            for dose in family.doses:
                counts = {**family.fixed, **dict.fromkeys(family.languages, dose)}
                yield Member(str(dose), {"dose": str(dose)}, counts=counts, dose=dose)
        case _:
            raise TypeError(f"unknown kind of mixture family: {type(family).__name__}")


def _equal(tags: list[str], table: BudgetTable) -> dict[str, float]:
    """Return equal shares of a total budget, or a share of 1 for every language if the budget is per language.

    Without languages, which the rules reject, the result is empty.
    """
    return dict.fromkeys(tags, 1.0 if table.per == "language" else 1 / max(len(tags), 1))


def language_sets(family: CoverageTable) -> list[list[str]]:
    """Return the language sets of a coverage family, one per mixture."""
    if family.languages is not None:
        return family.languages
    nested = family.nested or []
    return [nested[:size] for size in family.sizes or range(1, len(nested) + 1)]


def budget(table: BudgetTable) -> Budget:
    """Convert a budget table to a `Budget`."""
    return Budget(amount=table.amount, unit=table.unit, per=table.per, tokenizer=table.tokenizer)
