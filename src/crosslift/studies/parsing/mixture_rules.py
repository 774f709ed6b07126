"""Validation of mixtures and families: known languages, shares that sum to 1, and sufficient items."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from crosslift.mixtures.mixture import Mixture
from crosslift.mixtures.staged import replay_is_possible, stage_amounts, with_replay
from crosslift.studies.parsing import schema
from crosslift.studies.parsing.problems import Problems
from crosslift.studies.parsing.tables import Tables
from crosslift.transfer.design.simplex import MAX_OPTIMAL

SHARES_TOLERANCE = 1e-5


def check_mixtures(tables: Tables, problems: Problems) -> None:
    """Record every problem of the mixtures and families that passed schema validation."""
    for name, mixture in tables.mixtures.items():
        if mixture is not None and _mixture(f"mixtures.{name}", mixture, tables, problems):
            _enough(f"mixtures.{name}", tables.expanded[name], tables, problems)
    for name, family in tables.families.items():
        if family is not None and _family(f"families.{name}", family, tables, problems):
            _enough(f"families.{name}", tables.expanded.get(name, ()), tables, problems)


def _mixture(place: str, table: schema.MixtureTable, tables: Tables, problems: Problems) -> bool:
    before = len(problems)
    for i, part in enumerate(table.components):
        here = f"{place}.components[{i}]"
        if part.corpus in [other.corpus for other in table.components[:i]]:
            problems.add(here, f"corpus '{part.corpus}' is listed twice. Put its languages into one component.")
        if (part.shares is None) == (part.counts is None):
            problems.add(here, "needs shares or counts, and not both. Remove one or add one.")
        known = _trained_on(f"{here}.corpus", part.corpus, tables, problems)
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
    _budget(f"{place}.budget", table.budget, tables, problems)
    return len(problems) == before


def _trained_on(place: str, corpus: str, tables: Tables, problems: Problems) -> tuple[str, ...] | None:
    """Return the languages of a training corpus, or None if the corpus is unknown or its table is invalid."""
    if not problems.reference(place, "corpus", corpus, tables.corpora):
        return None
    table = tables.corpora[corpus]
    if table is None:
        return None
    if table.split != "train":
        problems.add(place, f"'{corpus}' is the {table.split} split. Train on a corpus with split = \"train\".")
    return tuple(table.languages)


def _sums(place: str, shares: Sequence[Mapping[str, float]], budget: schema.BudgetTable, problems: Problems) -> None:
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


def _counts(place: str, table: schema.MixtureTable, problems: Problems) -> None:
    total = sum(sum((part.counts or {}).values()) for part in table.components)
    if total == 0:
        problems.add(place, "all counts are 0, so the mixture has no training examples. Increase one.")
    if table.budget is not None and table.budget.amount != total:
        problems.add(
            f"{place}.budget.amount", f"is {table.budget.amount}, but the counts sum to {total}. Correct one of them."
        )


def _budget(place: str, budget: schema.BudgetTable | None, tables: Tables, problems: Problems) -> None:
    if budget is None:
        return
    if budget.unit == "tokens" and budget.tokenizer is None:
        problems.add(place, "'tokenizer' is missing: a model's tokenizer counts the tokens. Name a model.")
    if budget.tokenizer is not None:
        problems.reference(f"{place}.tokenizer", "model", budget.tokenizer, tables.models)
        if budget.unit != "tokens":
            problems.add(f"{place}.tokenizer", f'has no effect with unit = "{budget.unit}". Remove it.')


def _family(place: str, table: schema.Family, tables: Tables, problems: Problems) -> bool:
    before = len(problems)
    known: tuple[str, ...] | None = None
    owner = ""
    for i, corpus in enumerate(table.corpora):
        if corpus in table.corpora[:i]:
            problems.add(f"{place}.corpora[{i}]", f"'{corpus}' is listed twice. Remove one.")
        here = _trained_on(f"{place}.corpora[{i}]", corpus, tables, problems)
        if here is not None:
            known = here if known is None else tuple(tag for tag in known if tag in here)
            owner = (
                f"corpus '{corpus}'" if len(table.corpora) == 1 else f"one of the corpora {', '.join(table.corpora)}"
            )
    for inner, tags in _tags_of(table):
        problems.languages(f"{place}.{inner}", tags, among=known, owner=owner)
    match table:
        case schema.CoverageTable():
            _coverage(place, table, problems)
        case schema.DoseTable():
            _dose(place, table, tables, problems)
        case schema.DonorsTable():
            if table.pivot in table.donors:
                problems.add(f"{place}.donors", f"'{table.pivot}' is the pivot language. Remove it from the donors.")
        case schema.TemperatureTable():
            no_duplicate_mixtures(f"{place}.temperatures", table.temperatures, problems)
        case schema.UpsamplingTable():
            _upsampling(place, table, tables, problems)
        case schema.SimplexTable():
            _simplex(place, table, problems)
        case schema.StagedTable():
            _staged(place, table, problems)
        case _:
            pass
    if isinstance(table, _OF_A_TOTAL) and table.budget.per == "language":
        problems.add(f"{place}.budget.per", f'must be "total": a {table.kind} family divides a total. Change it.')
    _budget(f"{place}.budget", getattr(table, "budget", None), tables, problems)
    return len(problems) == before


_OF_A_TOTAL = (
    schema.DonorsTable,
    schema.TemperatureTable,
    schema.UpsamplingTable,
    schema.SimplexTable,
    schema.CurriculumTable,
    schema.ReplayTable,
)


def _upsampling(place: str, table: schema.UpsamplingTable, tables: Tables, problems: Problems) -> None:
    no_duplicate_mixtures(f"{place}.max_uses", table.max_uses, problems)
    if table.budget.unit != "items":
        problems.add(f"{place}.budget.unit", 'must be "items": uses of items are counted. Change it.')
    num_corpora = len(table.corpora) if table.setting == "multi" else 1
    held = sum(table.items.values()) * num_corpora
    for uses in table.max_uses:
        if held * uses < table.budget.amount:
            problems.add(
                f"{place}.max_uses",
                f"{uses} allows {held * uses:,} examples of {held:,} different items, and the budget is "
                f"{table.budget.amount:,}. Raise max_uses, add items or lower the budget.",
            )
    for name in table.corpora:
        corpus = tables.corpora.get(name)
        if corpus is None or corpus.max_items is None:
            continue
        together = table.pairing == "disjoint"
        need = sum(table.items.values()) if together else max(table.items.values())
        if need > corpus.max_items:
            problems.add(
                f"{place}.items",
                f"requires {need:,} different items {'in all languages together' if together else 'in one language'}, "
                f"and max_items of corpus '{name}' is {corpus.max_items:,}. Lower items or raise max_items.",
            )


def _simplex(place: str, table: schema.SimplexTable, problems: Problems) -> None:
    if table.design == "uniform":
        return
    for key, number in (("num_mixtures", table.num_mixtures), ("languages", len(table.languages))):
        if number > MAX_OPTIMAL:
            problems.add(
                f"{place}.{key}",
                f'are {number} and an optimal design has at most {MAX_OPTIMAL}. Lower them, or set design = "uniform".',
            )


def _staged(place: str, table: schema.StagedTable, problems: Problems) -> None:
    total = math.fsum(share for stage in table.stages for share in stage.values())
    if abs(total - 1) > SHARES_TOLERANCE:
        problems.add(
            f"{place}.stages", f"shares of all stages sum to {total:.6g} and must sum to 1. Change one of them."
        )
    for i, stage in enumerate(table.stages):
        if not any(stage.values()):
            problems.add(f"{place}.stages[{i}]", "all shares are 0, so the stage is empty. Remove it or raise a share.")
    if isinstance(table, schema.CurriculumTable):
        no_duplicate_mixtures(f"{place}.orders", table.orders, problems)
    elif isinstance(table, schema.ReplayTable):
        no_duplicate_mixtures(f"{place}.replay", table.replay, problems)
        corpora = table.corpora if table.setting == "multi" else table.corpora[:1]
        amounts = stage_amounts(table.stages, corpora, table.budget.amount)
        for share in table.replay:
            if not replay_is_possible(with_replay(amounts, share)):
                problems.add(
                    f"{place}.replay",
                    f"{share:g} asks for more examples of earlier stages than these have. Lower it, or enlarge the "
                    "first stage.",
                )


def _dose(place: str, table: schema.DoseTable, tables: Tables, problems: Problems) -> None:
    for tag in table.languages:
        if tag in table.fixed:
            problems.add(f"{place}.languages", f"'{tag}' is in 'fixed' as well. Remove it from one of them.")
    no_duplicate_mixtures(f"{place}.doses", table.doses, problems)
    for corpus in table.fixed_from:
        problems.reference(f"{place}.fixed_from", "corpus of the family", corpus, table.corpora)
    for corpus in table.corpora:
        home = table.fixed_from.get(corpus, corpus)
        known = _trained_on(f"{place}.fixed_from", home, tables, problems)
        if known is None:
            continue
        problems.languages(f"{place}.fixed", table.fixed, among=known, owner=f"corpus '{home}'")
        here, there = tables.corpora.get(corpus), tables.corpora[home]
        if here is not None and there is not None and here.task != there.task:
            problems.add(
                f"{place}.fixed_from",
                f"'{home}' has task {there.task} but '{corpus}' has {here.task}. Change it.",
            )


def _tags_of(table: schema.Family) -> Sequence[tuple[str, list[str] | str | dict[str, Any]]]:
    """Return every list of languages in a family, with its key."""
    match table:
        case schema.CoverageTable():
            listed: list[tuple[str, list[str]]] = [
                (f"languages[{i}]", tags) for i, tags in enumerate(table.languages or [])
            ]
            return listed + ([("nested", table.nested)] if table.nested else [])
        case schema.DoseTable():
            return [("languages", table.languages)]
        case schema.DonorsTable():
            return [("pivot", table.pivot), ("donors", table.donors)]
        case schema.LeaveOneOutTable() | schema.MonolingualTable() | schema.SimplexTable():
            return [("languages", table.languages)]
        case schema.TemperatureTable():
            return [("sizes", dict(table.sizes))]
        case schema.UpsamplingTable():
            return [("items", dict(table.items))]
        case schema.StagedTable():
            return [(f"stages[{i}]", dict(stage)) for i, stage in enumerate(table.stages)]
    return []


def _coverage(place: str, table: schema.CoverageTable, problems: Problems) -> None:
    if (table.languages is None) == (table.nested is None):
        problems.add(
            place, "needs languages (one list per mixture) or nested (one list), and not both. Remove one or add one."
        )
    if table.languages is not None:
        no_duplicate_mixtures(f"{place}.languages", ["-".join(tags) for tags in table.languages], problems)
        if table.sizes is not None:
            problems.add(f"{place}.sizes", "is only valid with nested. Remove it.")
    if table.nested is not None:
        no_duplicate_mixtures(f"{place}.sizes", table.sizes or [], problems)
        for size in table.sizes or []:
            if size > len(table.nested):
                problems.add(f"{place}.sizes", f"{size} exceeds the {len(table.nested)} languages of nested. Lower it.")


def no_duplicate_mixtures(place: str, values: Sequence[Any], problems: Problems) -> None:
    """Record each value that occurs more than once.

    Args:
        place: Location of the list in the study file.
        values: The entries of the list.
        problems: The list to which problems are added.
    """
    for value, count in Counter(values).items():
        if count > 1:
            problems.add(place, f"{value} is listed {count} times. Remove the duplicates.")


def _enough(place: str, mixtures: Iterable[Mixture], tables: Tables, problems: Problems) -> None:
    """Record mixtures that require more items than max_items allows; drawing the mixture checks the actual number."""
    for mixture in mixtures:
        amounts = mixture.amounts()
        if mixture.family and not any(amounts.values()):
            problems.add(place, f"mixture {mixture.name} is empty. Increase the amounts.")
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
