"""Validation of families: known languages, sensible values, and amounts that are possible."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from crosslift.mixtures.staged import replay_is_possible, stage_amounts, with_replay
from crosslift.studies.parsing.problems import Problems
from crosslift.studies.parsing.schema.families import (
    CoverageTable,
    CurriculumTable,
    DonorsTable,
    DoseTable,
    FactorialTable,
    Family,
    OriginTable,
    ReplayTable,
    SimplexTable,
    StagedTable,
    TemperatureTable,
    UpsamplingTable,
)
from crosslift.studies.parsing.schema.mixtures import BudgetTable
from crosslift.studies.parsing.tables import Tables
from crosslift.transfer.design.simplex import MAX_OPTIMAL

SHARES_TOLERANCE = 1e-5
_OF_A_TOTAL = (
    DonorsTable,
    TemperatureTable,
    UpsamplingTable,
    SimplexTable,
    CurriculumTable,
    ReplayTable,
)
"""Families whose budget must be a total."""


def check_family(place: str, table: Family, tables: Tables, problems: Problems) -> bool:
    """Record the problems of a family.

    Args:
        place: Location of the family in the study file.
        table: Table of the family.
        tables: The tables of the study file.
        problems: The list to which problems are added.

    Returns:
        True if there are none.
    """
    before = len(problems)
    known: tuple[str, ...] | None = None
    owner = ""
    for i, corpus in enumerate(table.corpora):
        if corpus in table.corpora[:i]:
            problems.add(f"{place}.corpora[{i}]", f"'{corpus}' is listed twice. Remove one.")
        here = trained_on(f"{place}.corpora[{i}]", corpus, tables, problems)
        if here is not None:
            known = here if known is None else tuple(tag for tag in known if tag in here)
            owner = (
                f"corpus '{corpus}'" if len(table.corpora) == 1 else f"one of the corpora {', '.join(table.corpora)}"
            )
    for inner, tags in _tags_of(table):
        problems.languages(f"{place}.{inner}", tags, among=known, owner=owner)
    if type(table) in _CHECKS:
        _CHECKS[type(table)](place, table, tables, problems)
    if isinstance(table, _OF_A_TOTAL) and table.budget.per == "language":
        problems.add(f"{place}.budget.per", f'must be "total": a {table.kind} family divides a total. Change it.')
    check_budget(f"{place}.budget", getattr(table, "budget", None), tables, problems)
    return len(problems) == before


def trained_on(place: str, corpus: str, tables: Tables, problems: Problems) -> tuple[str, ...] | None:
    """Return the languages of a training corpus, or None if the corpus is unknown or its table is invalid.

    Args:
        place: Location of the reference in the study file.
        corpus: Name of the corpus.
        tables: The tables of the study file.
        problems: The list to which problems are added.
    """
    if not problems.reference(place, "corpus", corpus, tables.corpora):
        return None
    table = tables.corpora[corpus]
    if table is None:
        return None
    if table.split != "train":
        problems.add(place, f"'{corpus}' is the {table.split} split. Train on a corpus with split = \"train\".")
    return tuple(table.languages)


def check_budget(place: str, budget: BudgetTable | None, tables: Tables, problems: Problems) -> None:
    """Record the problems of a budget.

    Args:
        place: Location of the budget in the study file.
        budget: The budget; None if there is none.
        tables: The tables of the study file.
        problems: The list to which problems are added.
    """
    if budget is None:
        return
    if budget.unit == "tokens" and budget.tokenizer is None:
        problems.add(place, "'tokenizer' is missing: a model's tokenizer counts the tokens. Name a model.")
    if budget.tokenizer is not None:
        problems.reference(f"{place}.tokenizer", "model", budget.tokenizer, tables.models)
        if budget.unit != "tokens":
            problems.add(f"{place}.tokenizer", f'has no effect with unit = "{budget.unit}". Remove it.')


def _donors(place: str, table: DonorsTable, tables: Tables, problems: Problems) -> None:
    if table.pivot in table.donors:
        problems.add(f"{place}.donors", f"'{table.pivot}' is the pivot language. Remove it from the donors.")


def _temperature(place: str, table: TemperatureTable, tables: Tables, problems: Problems) -> None:
    no_duplicate_mixtures(f"{place}.temperatures", table.temperatures, problems)


def _upsampling(place: str, table: UpsamplingTable, tables: Tables, problems: Problems) -> None:
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


def _simplex(place: str, table: SimplexTable, tables: Tables, problems: Problems) -> None:
    if table.design == "uniform":
        return
    for key, number in (("num_mixtures", table.num_mixtures), ("languages", len(table.languages))):
        if number > MAX_OPTIMAL:
            problems.add(
                f"{place}.{key}",
                f'are {number} and an optimal design has at most {MAX_OPTIMAL}. Lower them, or set design = "uniform".',
            )


def _staged(place: str, table: StagedTable, tables: Tables, problems: Problems) -> None:
    total = math.fsum(share for stage in table.stages for share in stage.values())
    if abs(total - 1) > SHARES_TOLERANCE:
        problems.add(
            f"{place}.stages", f"shares of all stages sum to {total:.6g} and must sum to 1. Change one of them."
        )
    for i, stage in enumerate(table.stages):
        if not any(stage.values()):
            problems.add(f"{place}.stages[{i}]", "all shares are 0, so the stage is empty. Remove it or raise a share.")
    if isinstance(table, CurriculumTable):
        no_duplicate_mixtures(f"{place}.orders", table.orders, problems)
    elif isinstance(table, ReplayTable):
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


def _dose(place: str, table: DoseTable, tables: Tables, problems: Problems) -> None:
    for tag in table.languages:
        if tag in table.fixed:
            problems.add(f"{place}.languages", f"'{tag}' is in 'fixed' as well. Remove it from one of them.")
    no_duplicate_mixtures(f"{place}.doses", table.doses, problems)
    for corpus in table.fixed_from:
        problems.reference(f"{place}.fixed_from", "corpus of the family", corpus, table.corpora)
    for corpus in table.corpora:
        home = table.fixed_from.get(corpus, corpus)
        known = trained_on(f"{place}.fixed_from", home, tables, problems)
        if known is None:
            continue
        problems.languages(f"{place}.fixed", table.fixed, among=known, owner=f"corpus '{home}'")
        here, there = tables.corpora.get(corpus), tables.corpora[home]
        if here is not None and there is not None and here.task != there.task:
            problems.add(
                f"{place}.fixed_from",
                f"'{home}' has task {there.task} but '{corpus}' has {here.task}. Change it.",
            )


def _coverage(place: str, table: CoverageTable, tables: Tables, problems: Problems) -> None:
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


def _factorial(place: str, table: FactorialTable, tables: Tables, problems: Problems) -> None:
    no_duplicate_mixtures(f"{place}.sizes", table.sizes or [], problems)
    no_duplicate_mixtures(f"{place}.amounts", table.amounts, problems)
    for size in table.sizes or []:
        if size > len(table.nested):
            problems.add(f"{place}.sizes", f"{size} exceeds the {len(table.nested)} languages of nested. Lower it.")
    check_budget(place, table.budget_of(table.amounts[0]), tables, problems)


def _origin(place: str, table: OriginTable, tables: Tables, problems: Problems) -> None:
    no_duplicate_mixtures(f"{place}.native_shares", table.native_shares, problems)
    native, translated = tables.corpora.get(table.native), tables.corpora.get(table.translated)
    if native is not None and translated is not None and native.task != translated.task:
        problems.add(
            f"{place}.translated",
            f"'{table.translated}' has task {translated.task} but '{table.native}' has {native.task}. Change it.",
        )


def _tags_of(table: Family) -> Sequence[tuple[str, Sequence[str] | str | Mapping[str, Any]]]:
    """Return every list of languages in a family, with its key."""
    found: list[tuple[str, Sequence[str] | str | Mapping[str, Any]]] = []
    for key in ("pivot", "donors", "languages", "nested", "sizes", "items", "stages"):
        value = getattr(table, key, None)
        if key == "sizes" and isinstance(table, (CoverageTable, FactorialTable)):  # numbers of languages
            continue
        if isinstance(value, list) and value and not isinstance(value[0], str):
            found += [(f"{key}[{i}]", part) for i, part in enumerate(value)]
        elif value:
            found.append((key, value))
    return found


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


_CHECKS: dict[type[Family], Callable[[str, Any, Tables, Problems], None]] = {
    CoverageTable: _coverage,
    DoseTable: _dose,
    DonorsTable: _donors,
    TemperatureTable: _temperature,
    UpsamplingTable: _upsampling,
    SimplexTable: _simplex,
    CurriculumTable: _staged,
    ReplayTable: _staged,
    FactorialTable: _factorial,
    OriginTable: _origin,
}
