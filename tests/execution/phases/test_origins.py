"""Native against translated data: the manifest counts the origins of the drawn rows, and a false claim is an error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_study import open_graph

from crosslift.errors import StudyError
from crosslift.execution.phases.prepare import prepare
from crosslift.final.choice import named
from crosslift.final.plan import make_plan

FAMILY = """
[corpora.own]
reader = "jsonl"
task = "math"
path = "own.jsonl"
languages = ["en", "es", "sw"]

[corpora.mt]
reader = "jsonl"
task = "math"
path = "mt.jsonl"
languages = ["en", "es", "sw"]

[families.origin]
kind = "origin"
native = "own"
translated = "mt"
languages = ["es", "sw"]
native_shares = [0.25]
budget = { amount = 16 }
pairing = "shared"

[grid]"""


@pytest.fixture
def by_origin(study: Path) -> Path:
    lines = [json.loads(line) for line in (study / "train.jsonl").read_text().splitlines()]
    for name, origin in (("own", "human"), ("mt", "mt:nllb")):
        rows = [json.dumps(line | {"origin": origin}) for line in lines]
        (study / f"{name}.jsonl").write_text("\n".join(rows) + "\n")
    file = study / "study.toml"
    file.write_text(file.read_text().replace("[grid]", FAMILY, 1))
    return study


def test_the_manifest_counts_the_origins_of_the_drawn_rows(by_origin):
    said: list[str] = []
    prepare(open_graph(by_origin), say=said.append)
    found = json.loads((by_origin / "mixtures" / "origin-25" / "manifest.json").read_text())
    assert found["origins"] == {
        "own": {"as": "native", "counts": {"es": {"human": 2}, "sw": {"human": 2}}},
        "mt": {"as": "translated", "counts": {"es": {"mt:nllb": 6}, "sw": {"mt:nllb": 6}}},
    }
    assert "origins" not in json.loads((by_origin / "mixtures" / "en" / "manifest.json").read_text())
    assert not any("taken as" in line for line in said)


def test_machine_translations_cannot_be_named_as_native(by_origin):
    (by_origin / "own.jsonl").write_text((by_origin / "mt.jsonl").read_text())
    with pytest.raises(StudyError, match=r"corpora\.own: .* as native, and 80 of its 80 rows are machine"):
        prepare(open_graph(by_origin), say=lambda line: None)


def test_what_rows_do_not_prove_is_said(by_origin):
    for name in ("own", "mt"):
        (by_origin / f"{name}.jsonl").write_text((by_origin / "train.jsonl").read_text())
    said: list[str] = []
    prepare(open_graph(by_origin), say=said.append)
    assert "corpora.own: 80 of 80 rows do not say their origin; taken as native" in said
    assert "corpora.mt: not all rows say that they are translated (unknown: 80); taken as translated" in said


def test_the_plan_of_a_final_model_counts_the_origins_of_its_rows(by_origin):
    prepare(open_graph(by_origin), say=lambda line: None)
    graph = open_graph(by_origin)
    plan = make_plan(graph, named(graph, "origin-25"), num_items=8)
    counts = {corpus: found["counts"] for corpus, found in plan.manifest["origins"].items()}
    assert counts == {
        "own": {"es": {"human": 1}, "sw": {"human": 1}},
        "mt": {"es": {"mt:nllb": 3}, "sw": {"mt:nllb": 3}},
    }
    assert "origins" not in make_plan(graph, named(graph, "en"), num_items=8).manifest
