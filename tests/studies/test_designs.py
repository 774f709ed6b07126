"""Families that are designs: their mixtures, what the rules refuse, and what the plan says about them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from crosslift.errors import StudyError
from crosslift.fingerprint import fingerprint
from crosslift.mixtures.mixture import Budget, Component, Mixture
from crosslift.studies.parsing.families.expand import expand
from crosslift.studies.parsing.load import json_schema, load
from crosslift.studies.parsing.schema.families import FamilyTable
from crosslift.studies.planning.plan import plan
from crosslift.studies.study import Study

CURRICULUM = """
[families.order]
kind = "curriculum"
corpora = ["train"]
stages = [{ en = 0.5 }, { sw = 0.5 }]
budget = { amount = 6 }
pairing = "disjoint"
"""
SIMPLEX = """
[families.all]
kind = "simplex"
corpora = ["train"]
languages = ["en", "sw", "es"]
num_mixtures = 4
design = "DESIGN"
budget = { amount = 6 }
pairing = "disjoint"
"""


def family(**fields: Any) -> tuple[Mixture, ...]:
    table = {"corpora": ["math"], "pairing": "shared", "budget": {"amount": 100}, **fields}
    return expand("f", TypeAdapter(FamilyTable).validate_python(table))


def amounts(mixtures: tuple[Mixture, ...]) -> dict[str, dict[str, int]]:
    return {one.name: {tag: n for (_, tag), n in one.amounts().items()} for one in mixtures}


def with_family(folder: Path, text: str) -> Study:
    file = folder / "study.toml"
    file.write_text(file.read_text(encoding="utf-8").replace("[grid]", f"{text}\n[grid]"), encoding="utf-8")
    return load(folder)


def test_monolingual_baselines_of_every_language() -> None:
    found = family(kind="monolingual", languages=["en", "sw"])
    assert amounts(found) == {"f-en": {"en": 100}, "f-sw": {"sw": 100}}


def test_temperatures_flatten_the_proportions_of_sizes() -> None:
    found = family(kind="temperature", sizes={"en": 9000.0, "sw": 1000.0}, temperatures=[1.0, 2.0, 1.5])
    assert amounts(found) == {
        "f-t1": {"en": 90, "sw": 10},
        "f-t2": {"en": 75, "sw": 25},  # square roots: 3 to 1
        "f-t1_5": {"en": 81, "sw": 19},
    }


def test_upsampling_is_equal_as_far_as_the_limit_of_uses_allows() -> None:
    table = {"kind": "upsampling", "items": {"en": 90, "sw": 20, "de": 5}}
    assert amounts(family(**table, max_uses=[1, 4, 20])) == {
        "f-1": {"en": 75, "sw": 20, "de": 5},
        "f-4": {"en": 40, "sw": 40, "de": 20},
        "f-20": {"en": 34, "sw": 33, "de": 33},
    }
    (proportional,) = family(**table, max_uses=[20], temperature=1.0)
    assert amounts((proportional,)) == {"f-20": {"en": 78, "sw": 18, "de": 4}}


@pytest.mark.parametrize("design", ["uniform", "d_optimal"])
def test_a_simplex_has_exact_totals_and_is_the_same_again(design: str) -> None:
    table = {"kind": "simplex", "languages": ["en", "sw", "de", "th"], "num_mixtures": 7, "design": design}
    found = family(**table)
    assert {sum(one.amounts().values()) for one in found} == {100}
    assert found == family(**table)
    assert len({json.dumps(one.factors) for one in found}) == 7
    assert found != family(**table, seed=1) or design == "d_optimal"
    more = family(**table, budget={"amount": 1000})
    assert [one.factors for one in more] == [one.factors for one in found]  # shares do not depend on the budget


def test_every_number_of_languages_with_every_amount_of_each() -> None:
    found = expand(
        "f",
        TypeAdapter(FamilyTable).validate_python(
            {"kind": "factorial", "corpora": ["math"], "pairing": "shared", "nested": ["en", "sw", "de"],
             "sizes": [1, 3], "amounts": [100, 300]}
        ),
    )  # fmt: skip
    assert amounts(found) == {
        "f-1x100": {"en": 100},
        "f-1x300": {"en": 300},
        "f-3x100": {"en": 100, "sw": 100, "de": 100},
        "f-3x300": {"en": 300, "sw": 300, "de": 300},
    }
    assert found[2].factors == {"num_languages": "3", "amount": "100"}


@pytest.mark.parametrize(("per", "total"), [("total", 100), ("language", 200)])
def test_a_share_of_native_data_takes_the_place_of_translated_data(per: str, total: int) -> None:
    found = expand(
        "f",
        TypeAdapter(FamilyTable).validate_python(
            {"kind": "origin", "native": "own", "translated": "mt", "languages": ["en", "sw"], "pairing": "shared",
             "native_shares": [0.0, 0.25, 1.0], "budget": {"amount": 100, "per": per}}
        ),
    )  # fmt: skip
    each = total // 2
    assert {one.name: one.amounts() for one in found} == {
        "f-0": {("mt", "en"): each, ("mt", "sw"): each},
        "f-25": {
            ("own", "en"): each // 4 + (per == "total"),  # 12.5 each: the first two get the remainder
            ("own", "sw"): each // 4 + (per == "total"),
            ("mt", "en"): each * 3 // 4,
            ("mt", "sw"): each * 3 // 4,
        },
        "f-100": {("own", "en"): each, ("own", "sw"): each},
    }
    assert found[0].origins == {"own": "native", "mt": "translated"}


FACTORIAL = """
[families.cross]
kind = "factorial"
corpora = ["train"]
nested = ["en", "sw"]
amounts = AMOUNTS
pairing = "shared"
"""


@pytest.mark.parametrize(("values", "said"), [("[3, 6]", "cross-1x6 = cross-2x3 (6 items)"), ("[3]", "No two have")])
def test_the_plan_names_mixtures_of_equal_totals(study_folder: Path, values: str, said: str) -> None:
    text = FACTORIAL.replace("AMOUNTS", values)
    assert any(said in note for note in plan(with_family(study_folder, text)).notes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (FACTORIAL.replace("AMOUNTS", "[3, 3]"), "3 is listed 2 times"),
        (FACTORIAL.replace("AMOUNTS", "[3]\nsizes = [3]"), "3 exceeds the 2 languages"),
        (FACTORIAL.replace("AMOUNTS", '[3]\nunit = "tokens"'), "'tokenizer' is missing"),
        ('[families.o]\nkind = "origin"\nnative = "train"\ntranslated = "train"\nlanguages = ["en"]\n'
         'budget = { amount = 4 }\npairing = "shared"\n', "'train' is listed twice"),
        ('[families.o]\nkind = "origin"\nnative = "none"\ntranslated = "train"\nlanguages = ["en"]\n'
         'budget = { amount = 4 }\npairing = "shared"\n', "none"),
    ],
)  # fmt: skip
def test_the_rules_of_both_designs(study_folder: Path, text: str, said: str) -> None:
    with pytest.raises(StudyError, match=said):
        with_family(study_folder, text)


def test_fingerprints_of_mixtures_without_stages_are_those_of_before(study_folder: Path) -> None:
    study = load(study_folder)
    items = study.mixtures["en50-sw50"]
    assert set(study.identity_of_mixture(items)) == {"amounts", "pairing", "order", "repeat"}
    tokens = Mixture(
        name="m",
        components=(Component(corpus="train", shares={"en": 1.0}),),
        budget=Budget(amount=100, unit="bytes"),
        pairing="shared",
    )
    assert study.identity_of_mixture(tokens) == {
        "components": ({"corpus": "train", "shares": {"en": 1.0}, "counts": None},),
        "pairing": "shared",
        "budget": {"amount": 100, "unit": "bytes", "per": "total", "tokenizer": None},
        "order": "shuffled",
        "repeat": False,
    }


def test_stages_and_limits_are_part_of_the_fingerprint() -> None:
    study = Study.__new__(Study)
    staged = family(kind="curriculum", stages=[{"en": 0.5}, {"sw": 0.5}], orders=["forward", "reverse", "shuffled"])
    limited = family(kind="upsampling", items={"en": 50, "sw": 50}, max_uses=[2])
    plain = Mixture(name="m", components=(Component(corpus="math", counts={"en": 50, "sw": 50}),), pairing="shared")
    prints = [fingerprint(study.identity_of_mixture(one)) for one in (*staged, *limited)]
    assert len(set(prints)) == 4
    assert prints[2] == fingerprint(study.identity_of_mixture(plain))  # shuffled: an ordinary mixture


def test_all_errors_of_a_design_are_reported_at_once(study_folder: Path) -> None:
    text = """
[families.t]
kind = "temperature"
corpora = ["train"]
sizes = { en = 10.0, xx = 2.0 }
temperatures = [1.0, 1.0]
budget = { amount = 6, per = "language" }
pairing = "shared"

[families.u]
kind = "upsampling"
corpora = ["train"]
items = { en = 3, sw = 9 }
max_uses = [1, 2]
budget = { amount = 20, unit = "bytes" }
pairing = "shared"

[families.s]
kind = "simplex"
corpora = ["train"]
languages = ["en", "sw"]
num_mixtures = 90
design = "d_optimal"
budget = { amount = 6 }
pairing = "shared"

[families.c]
kind = "curriculum"
corpora = ["train"]
stages = [{ en = 0.5, de = 0.2 }, { sw = 0.0 }]
budget = { amount = 6 }
pairing = "shared"

[families.r]
kind = "replay"
corpora = ["train"]
stages = [{ en = 0.1 }, { sw = 0.9 }]
replay = [0.0, 0.9]
budget = { amount = 6 }
pairing = "shared"
"""
    with pytest.raises(StudyError) as caught:
        with_family(study_folder, text)
    problems = str(caught.value).splitlines()
    for expected in (
        "families.t.sizes.xx: 'xx' is not",
        "families.t.temperatures: 1.0 is listed 2 times",
        'families.t.budget.per: must be "total"',
        'families.u.budget.unit: must be "items"',
        "families.u.max_uses: 1 allows 12 examples of 12 different items, and the budget is 20",
        "families.u.items: requires 9 different items in one language, and max_items of corpus 'train' is 6",
        "families.s.num_mixtures: are 90 and an optimal design has at most 24",
        "families.c.stages: shares of all stages sum to 0.7",
        "families.c.stages[1]: all shares are 0",
        "families.c.stages[0].de: corpus 'train' has no 'de'",
        "families.r.replay: 0.9 asks for more examples of earlier stages than these have",
    ):
        assert any(expected in problem for problem in problems), (expected, problems)
    assert len(problems) == 12  # and that two mixtures have the name t-t1


def test_the_plan_says_what_an_edit_of_a_design_changes_and_shows_its_shares(study_folder: Path) -> None:
    found = plan(with_family(study_folder, SIMPLEX.replace("DESIGN", "d_optimal")))
    assert any(
        "families.all: 4 mixtures chosen together" in note and "order of languages" in note for note in found.notes
    )
    assert found.compositions == {
        "all-1": "en 100 %",
        "all-2": "sw 100 %",
        "all-3": "es 100 %",
        "all-4": "en 50 %, sw 50 %",
    }


def test_the_plan_says_what_epochs_and_schedule_do_to_stages(study_folder: Path) -> None:
    notes = plan(with_family(study_folder, CURRICULUM)).notes
    assert any("every epoch goes through all stages" in note for note in notes)
    assert any('schedule = "constant" keeps it equal' in note for note in notes)
    text = (study_folder / "study.toml").read_text(encoding="utf-8")
    (study_folder / "study.toml").write_text(text.replace("epochs = 2", 'epochs = 1\nschedule = "constant"'))
    assert not plan(load(study_folder)).notes


def test_every_kind_of_family_is_in_the_schema_of_editors() -> None:
    kinds = set(json_schema()["$defs"]) & {
        f"{name}Table"
        for name in ("Monolingual", "Temperature", "Upsampling", "Simplex", "Curriculum", "Replay", "Coverage")
    }
    assert len(kinds) == 7
