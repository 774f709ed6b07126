"""Families expand to the mixtures that one would have written by hand."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from crosslift.mixtures.mixture import Mixture
from crosslift.studies.parsing.families.expand import expand
from crosslift.studies.parsing.schema.families import FamilyTable

CORE = ["en", "es", "ja", "bn", "sw"]


def family(**fields: Any) -> tuple[Mixture, ...]:
    table = {"corpora": ["math"], "pairing": "shared", **fields}
    if fields["kind"] != "dose":
        table.setdefault("budget", {"amount": 100})
    return expand("f", TypeAdapter(FamilyTable).validate_python(table))


def by_name(mixtures: tuple[Mixture, ...]) -> dict[str, dict[tuple[str, str], int]]:
    return {mixture.name: mixture.amounts() for mixture in mixtures}


def test_coverage_lists_language_sets_with_equal_shares_of_a_fixed_total() -> None:
    found = by_name(family(kind="coverage", languages=[["en"], ["en", "sw", "es"]]))
    assert found == {
        "f-en": {("math", "en"): 100},
        "f-en-sw-es": {("math", "en"): 34, ("math", "sw"): 33, ("math", "es"): 33},
    }


def test_coverage_nests() -> None:
    found = family(kind="coverage", nested=CORE, sizes=[1, 2, 5])
    assert [mixture.languages for mixture in found] == [("en",), ("en", "es"), tuple(CORE)]
    assert len(family(kind="coverage", nested=CORE)) == 5


def test_a_budget_per_language_gives_every_language_all_of_it() -> None:
    found = by_name(family(kind="coverage", nested=CORE, sizes=[2], budget={"amount": 10, "per": "language"}))
    assert found == {"f-en-es": {("math", "en"): 10, ("math", "es"): 10}}


def test_doses_grow_beside_a_fixed_part() -> None:
    found = family(kind="dose", fixed={"en": 50}, languages=["es", "ja"], doses=[0, 5])
    assert by_name(found) == {
        "f-0": {("math", "en"): 50, ("math", "es"): 0, ("math", "ja"): 0},
        "f-5": {("math", "en"): 50, ("math", "es"): 5, ("math", "ja"): 5},
    }
    assert [mixture.dose for mixture in found] == [0, 5]
    assert [mixture.languages for mixture in found] == [("en",), ("en", "es", "ja")]


def test_donors_stand_beside_one_pivot() -> None:
    found = family(kind="donors", pivot="en", donors=["es", "sw"], donor_share=0.2)
    assert by_name(found) == {
        "f-en": {("math", "en"): 100},
        "f-en-es": {("math", "en"): 80, ("math", "es"): 20},
        "f-en-sw": {("math", "en"): 80, ("math", "sw"): 20},
    }
    assert [mixture.factors for mixture in found] == [{"donor": ""}, {"donor": "es"}, {"donor": "sw"}]
    alone = family(kind="donors", pivot="en", donors=["es", "sw"], donor_share=0.2, pivot_alone=False)
    assert [mixture.name for mixture in alone] == ["f-en-es", "f-en-sw"]


def test_leave_one_out_keeps_the_total_and_names_what_is_left_out() -> None:
    found = family(kind="leave_one_out", languages=["en", "es", "sw"])
    assert [mixture.name for mixture in found] == ["f-full", "f-minus-en", "f-minus-es", "f-minus-sw"]
    assert {sum(mixture.amounts().values()) for mixture in found} == {100}
    assert found[3].languages == ("en", "es")
    assert [mixture.factors["left_out"] for mixture in found] == ["", "en", "es", "sw"]


def test_single_makes_one_mixture_per_corpus_and_multi_joins_them() -> None:
    common = {"kind": "coverage", "corpora": ["math", "api"], "languages": [["en"], ["en", "sw"]]}
    single = family(**common)
    assert [mixture.name for mixture in single] == ["f-math-en", "f-math-en-sw", "f-api-en", "f-api-en-sw"]
    assert {sum(mixture.amounts().values()) for mixture in single} == {100}
    multi = family(**common, setting="multi")
    assert [mixture.name for mixture in multi] == ["f-en", "f-en-sw"]
    assert multi[1].amounts() == {(corpus, tag): 25 for corpus in ("math", "api") for tag in ("en", "sw")}


def test_the_first_published_design_is_twenty_two_mixtures() -> None:
    extras = ["fr", "de", "ru", "zh", "th"]
    minus = [[tag for tag in CORE if tag != left] for left in CORE]
    sets = [["en"], *([["en", tag] for tag in CORE[1:]]), *minus, CORE]
    sets += [[*core, "fr", "th"] for core in minus] + [[*core, *extras] for core in minus] + [[*CORE, *extras]]
    found = family(kind="coverage", languages=sets, budget={"amount": 10_000, "per": "language"})
    sizes = [len(mixture.languages) for mixture in found]
    assert [(size, sizes.count(size)) for size in sorted(set(sizes))] == [
        (1, 1), (2, 4), (4, 5), (5, 1), (6, 5), (9, 5), (10, 1),
    ]  # fmt: skip
    assert len({mixture.name for mixture in found}) == 22


def test_the_fixed_part_may_come_from_another_corpus() -> None:
    """XL-Sum has 300,000 English articles and 7,000 Japanese ones that are no translations of them."""
    found = family(
        kind="dose",
        corpora=["sums", "math"],
        setting="multi",
        fixed={"en": 50},
        fixed_from={"sums": "sums-en"},
        languages=["ja"],
        doses=[0, 5],
    )
    assert found[1].amounts() == {("sums-en", "en"): 50, ("sums", "ja"): 5, ("math", "en"): 50, ("math", "ja"): 5}
    assert found[0].corpora == found[1].corpora == ("sums-en", "sums", "math")
    assert found[0].languages == ("en",)
