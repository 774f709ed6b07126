"""Expansion of mixture families into mixtures. The name of a mixture states the factor that its family varies.

    kind            names of the mixtures                     varied factor
    coverage        <family>-en, <family>-en-sw ...           set of languages
    dose            <family>-0, <family>-50 ...               amount of the other languages, beside a fixed part
    donors          <family>-en, <family>-en-es ...           second language, none in the control
    leave_one_out   <family>-full, <family>-minus-sw ...      omitted language
    monolingual     <family>-en, <family>-sw ...              language
    temperature     <family>-t1, <family>-t5 ...              temperature
    upsampling      <family>-1, <family>-4 ...                most uses of an item
    simplex         <family>-1, <family>-2 ...                shares, see the factor "shares"
    curriculum      <family>-forward, -reverse, -shuffled     order of the stages
    replay          <family>-0, <family>-20 ...               percentage of replayed data
    factorial       <family>-1x100, <family>-2x100 ...        number of languages x amount per language
    origin          <family>-0, <family>-50 ...               percentage of native data, the rest is translated

With several corpora, the setting "single" creates one mixture per corpus and includes the corpus in the name
(`coverage-math-train-en`); "multi" combines all corpora in each mixture, with equal shares.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import singledispatch
from typing import Any, NamedTuple

from crosslift.mixtures.mixture import NATIVE, TRANSLATED, Budget, Component, Mixture, largest_remainder
from crosslift.mixtures.shares import limited_amounts, temperature_shares
from crosslift.mixtures.staged import stage_amounts, stages_of, total_counts, with_replay
from crosslift.studies.parsing.schema.families import (
    CoverageTable,
    CurriculumTable,
    DonorsTable,
    DoseTable,
    FactorialTable,
    Family,
    LeaveOneOutTable,
    MonolingualTable,
    OriginTable,
    ReplayTable,
    SimplexTable,
    TemperatureTable,
    UpsamplingTable,
)
from crosslift.studies.parsing.schema.mixtures import BudgetTable
from crosslift.transfer.design.simplex import MAX_OPTIMAL, simplex_weights


class Member(NamedTuple):
    """One mixture of a family before its corpora are assigned, with either shares or counts per language."""

    suffix: str
    factors: dict[str, str]
    shares: dict[str, float] | None = None
    counts: dict[str, int] | None = None
    dose: int | None = None
    stages: list[dict[str, float]] | None = None
    replay: float = 0.0
    in_stages: bool = True
    """False: the stages are shuffled together."""
    max_uses: int | None = None
    budget: BudgetTable | None = None
    """None: that of the family."""
    native: float | None = None
    """Share of native data."""


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
            pairing=family.pairing,
            budget=None if (own := member.budget or table) is None else budget(own),
            order=family.order,
            family=name,
            dose=member.dose,
            factors=member.factors,
            origins={family.native: NATIVE, family.translated: TRANSLATED} if isinstance(family, OriginTable) else {},
            **_content(member, family, corpora),
        )
        for stem, corpora in groups
        for member in _members(family)
    )


def _content(member: Member, family: Family, corpora: list[str]) -> dict[str, Any]:
    """Components, stages and repetition of a mixture."""
    if member.stages is not None:
        parts = with_replay(stage_amounts(member.stages, corpora, _amount(family)), member.replay)
        counts = total_counts(parts)
        return {
            "components": tuple(Component(corpus=corpus, counts=counts.get(corpus, {})) for corpus in corpora),
            "stages": stages_of(parts) if member.in_stages else (),
            "repeat": family.repeat,
        }
    if isinstance(family, UpsamplingTable) and member.max_uses is not None:
        totals = largest_remainder(_amount(family), [1.0] * len(corpora))
        found = [upsampled(family, member.max_uses, total) for total in totals]
        return {
            "components": tuple(
                Component(corpus=corpus, counts=amounts, different=dict(family.items))
                for corpus, amounts in zip(corpora, found, strict=True)
            ),
            "repeat": True,
        }
    if isinstance(family, OriginTable) and member.native is not None:
        by_origin = ((family.native, member.native), (family.translated, 1 - member.native))
        return {
            "components": tuple(
                Component(corpus=corpus, shares={tag: share * part for tag, share in (member.shares or {}).items()})
                for corpus, part in by_origin
                if part
            ),
            "repeat": family.repeat,
        }
    parts_of_corpora = (part for corpus in corpora for part in _components(corpus, member, family, len(corpora)))
    return {"components": tuple(parts_of_corpora), "repeat": family.repeat}


def _amount(family: Family) -> int:
    table: BudgetTable = family.budget  # type: ignore[attr-defined]
    return table.amount


def upsampled(family: UpsamplingTable, max_uses: int, total: int) -> dict[str, int]:
    """Return the amounts of a mixture of one corpus in which no item is used more often than `max_uses`."""
    shares = dict.fromkeys(family.items, 1.0)
    if family.temperature is not None:
        shares = temperature_shares({tag: float(n) for tag, n in family.items.items()}, family.temperature)
    return limited_amounts(total, shares, {tag: n * max_uses for tag, n in family.items.items()})


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


@singledispatch
def _members(family: Family) -> Iterator[Member]:
    raise TypeError(f"unknown kind of mixture family: {type(family).__name__}")


@_members.register
def _coverage(family: CoverageTable) -> Iterator[Member]:
    for tags in language_sets(family):
        yield Member("-".join(tags), {"languages": "-".join(tags)}, _equal(tags, family.budget))


@_members.register
def _leave_one_out(family: LeaveOneOutTable) -> Iterator[Member]:
    yield Member("full", {"left_out": ""}, _equal(family.languages, family.budget))
    for left in family.languages:
        rest = [tag for tag in family.languages if tag != left]
        yield Member(f"minus-{left}", {"left_out": left}, _equal(rest, family.budget))


@_members.register
def _donors(family: DonorsTable) -> Iterator[Member]:
    if family.pivot_alone:
        yield Member(family.pivot, {"donor": ""}, {family.pivot: 1.0})
    for donor in family.donors:
        shares = {family.pivot: 1 - family.donor_share, donor: family.donor_share}
        yield Member(f"{family.pivot}-{donor}", {"donor": donor}, shares)


@_members.register
def _dose(family: DoseTable) -> Iterator[Member]:
    for dose in family.doses:
        counts = {**family.fixed, **dict.fromkeys(family.languages, dose)}
        yield Member(str(dose), {"dose": str(dose)}, counts=counts, dose=dose)


@_members.register
def _monolingual(family: MonolingualTable) -> Iterator[Member]:
    for tag in family.languages:
        yield Member(tag, {"language": tag}, {tag: 1.0})


@_members.register
def _temperature(family: TemperatureTable) -> Iterator[Member]:
    for temperature in family.temperatures:
        shares = {tag: round(x, 12) for tag, x in temperature_shares(family.sizes, temperature).items()}
        yield Member(f"t{_number(temperature)}", {"temperature": f"{temperature:g}"}, shares)


@_members.register
def _upsampling(family: UpsamplingTable) -> Iterator[Member]:
    for uses in family.max_uses:
        yield Member(str(uses), {"max_uses": str(uses)}, max_uses=uses)


@_members.register
def _curriculum(family: CurriculumTable) -> Iterator[Member]:
    for order in family.orders:
        stages = family.stages[::-1] if order == "reverse" else family.stages
        yield Member(order, {"order": order}, stages=stages, in_stages=order != "shuffled")


@_members.register
def _replay(family: ReplayTable) -> Iterator[Member]:
    for share in family.replay:
        percent = round(100 * share, 6)
        factors = {"replay": f"{percent:g} %"}
        yield Member(_number(percent), factors, stages=family.stages, replay=share)


@_members.register
def _simplex(family: SimplexTable) -> Iterator[Member]:
    """Yield the mixtures of a simplex family; none if the design is too large, which the rules report."""
    if family.design != "uniform" and max(family.num_mixtures, len(family.languages)) > MAX_OPTIMAL:
        return
    for number, weights in enumerate(
        simplex_weights(len(family.languages), family.num_mixtures, family.design, family.seed), start=1
    ):
        total = sum(weights)
        shares = {tag: weight / total for tag, weight in zip(family.languages, weights, strict=True) if weight}
        shown = ", ".join(f"{tag} {100 * share:.3g} %" for tag, share in shares.items())
        yield Member(str(number), {"shares": shown, "design": family.design}, shares)


@_members.register
def _factorial(family: FactorialTable) -> Iterator[Member]:
    for size in family.sizes or range(1, len(family.nested) + 1):
        for amount in family.amounts:
            factors = {"num_languages": str(size), "amount": str(amount)}
            shares = dict.fromkeys(family.nested[:size], 1.0)
            yield Member(f"{size}x{amount}", factors, shares, budget=family.budget_of(amount))


@_members.register
def _origin(family: OriginTable) -> Iterator[Member]:
    for share in family.native_shares:
        percent = round(100 * share, 6)
        shares = _equal(family.languages, family.budget)
        yield Member(_number(percent), {"native": f"{percent:g} %"}, shares, native=share)


def _number(value: float) -> str:
    """Write a number with the characters of names: 1.5 is 1_5."""
    return f"{value:g}".replace(".", "_")


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
    return Budget(
        amount=table.amount, unit=table.unit, per=table.per, tokenizer=table.tokenizer, if_fewer=table.if_fewer
    )
