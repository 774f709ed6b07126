"""Validation of mixtures and families: known languages, shares that sum to 1, and sufficient items."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from crosslift.mixtures.mixture import Mixture
from crosslift.studies.parsing.families.rules import SHARES_TOLERANCE, check_budget, check_family, trained_on
from crosslift.studies.parsing.problems import Problems
from crosslift.studies.parsing.schema.mixtures import BudgetTable, MixtureTable
from crosslift.studies.parsing.tables import Tables


def check_mixtures(tables: Tables, problems: Problems) -> None:
    """Record every problem of the mixtures and families that passed schema validation."""
    for name, mixture in tables.mixtures.items():
        if mixture is not None and _mixture(f"mixtures.{name}", mixture, tables, problems):
            _enough(f"mixtures.{name}", tables.expanded[name], tables, problems)
    for name, family in tables.families.items():
        if family is not None and check_family(f"families.{name}", family, tables, problems):
            _enough(f"families.{name}", tables.expanded.get(name, ()), tables, problems)


def _mixture(place: str, table: MixtureTable, tables: Tables, problems: Problems) -> bool:
    before = len(problems)
    for i, part in enumerate(table.components):
        here = f"{place}.components[{i}]"
        if part.corpus in [other.corpus for other in table.components[:i]]:
            problems.add(here, f"corpus '{part.corpus}' is listed twice. Put its languages into one component.")
        if (part.shares is None) == (part.counts is None):
            problems.add(here, "needs shares or counts, and not both. Remove one or add one.")
        known = trained_on(f"{here}.corpus", part.corpus, tables, problems)
        for kind, given in (("shares", part.shares), ("counts", part.counts)):
            if given is not None and known is not None:
                problems.languages(f"{here}.{kind}", given, among=known, owner=f"corpus '{part.corpus}'")
    if len(problems) > before:
        return False
    shares = [part.shares for part in table.components if part.shares is not None]
    if shares and len(shares) < len(table.components):
        problems.add(place, "some components have shares and some have counts. Use the same for all.")
    elif shares:
        if table.budget is None:
            problems.add(place, "'budget' is missing: shares refer to a budget. Add budget = { amount = ... }.")
        else:
            _sums(place, shares, table.budget, problems)
    else:
        _counts(place, table, problems)
    check_budget(f"{place}.budget", table.budget, tables, problems)
    return len(problems) == before


def _sums(place: str, shares: Sequence[Mapping[str, float]], budget: BudgetTable, problems: Problems) -> None:
    advice = (
        "Change one of them."
        if budget.per == "total"
        else 'Change one of them: with per = "language", shares divide each language among corpora.'
    )
    groups = [""] if budget.per == "total" else list(dict.fromkeys(tag for part in shares for tag in part))
    for group in groups:
        total = math.fsum(share for part in shares for tag, share in part.items() if group in ("", tag))
        if abs(total - 1) > SHARES_TOLERANCE:
            of = f" of '{group}'" if group else ""
            problems.add(place, f"shares{of} sum to {total:.6g} and must sum to 1. {advice}")


def _counts(place: str, table: MixtureTable, problems: Problems) -> None:
    total = sum(sum((part.counts or {}).values()) for part in table.components)
    if total == 0:
        problems.add(place, "all counts are 0, so the mixture has no training examples. Increase one.")
    if table.budget is not None and table.budget.amount != total:
        problems.add(
            f"{place}.budget.amount", f"is {table.budget.amount}, but the counts sum to {total}. Correct one of them."
        )


def _enough(place: str, mixtures: Iterable[Mixture], tables: Tables, problems: Problems) -> None:
    """Record mixtures that require more items than max_items allows; drawing the mixture checks the actual number."""
    for mixture in mixtures:
        amounts = mixture.amounts()
        if mixture.family and not any(amounts.values()):
            problems.add(place, f"mixture {mixture.name} is empty. Increase the amounts.")
        if not _if_fewer_applies(mixture):
            problems.add(
                f"{place}.budget.if_fewer",
                '"all" is for budgets in items that shares of one corpus divide. Remove it, or use one corpus.',
            )
        if mixture.unit != "items" or mixture.repeat:
            continue
        amounts = mixture.new_amounts()
        for corpus in mixture.corpora:
            table = tables.corpora[corpus]
            if table is None or table.max_items is None:
                continue
            inside = {tag: amount for (name, tag), amount in amounts.items() if name == corpus}
            together = mixture.pairing == "disjoint"
            need = sum(inside.values()) if together else max(inside.values())
            if need > table.max_items:
                whom = "in all languages together" if together else f"in '{max(inside, key=lambda tag: inside[tag])}'"
                problems.add(
                    place,
                    f"mixture {mixture.name} requires {need} items of corpus '{corpus}' {whom} and max_items is "
                    f"{table.max_items}: {need - table.max_items} too few. Increase max_items, reduce the amount, or "
                    "set repeat = true.",
                )
                break


def _if_fewer_applies(mixture: Mixture) -> bool:
    """Return whether `if_fewer` of the budget is "error", or the mixture is of a kind that "all" is defined for."""
    if mixture.budget is None or mixture.budget.if_fewer == "error":
        return True
    by_shares = all(part.counts is None for part in mixture.components)
    return by_shares and mixture.unit == "items" and len(mixture.corpora) == 1
