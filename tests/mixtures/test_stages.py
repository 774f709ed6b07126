"""Stages order the examples of a mixture, replay repeats earlier ones, limits hold the number of different items."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from crosslift.errors import MixtureError
from crosslift.mixtures.draw import STAGE, CorpusIndex, draw
from crosslift.mixtures.manifest import CorpusRecord, manifest
from crosslift.mixtures.mixture import Mixture
from crosslift.studies.parsing.families.expand import expand
from crosslift.studies.parsing.schema.families import FamilyTable

TAGS = ("en", "sw", "de")
RECORD = CorpusRecord(languages=TAGS, fingerprint="0", revision="", licence="")


def index(num_items: int = 200, *, lengths: bool = False) -> CorpusIndex:
    sizes = 5 + (np.arange(num_items * len(TAGS)).reshape(num_items, len(TAGS)) % 7)
    return CorpusIndex(
        name="math",
        languages=TAGS,
        item_ids=pl.Series([f"i{number}" for number in range(num_items)]),
        lengths=sizes if lengths else None,
    )


def family(**fields: Any) -> dict[str, Mixture]:
    table = {"corpora": ["math"], "pairing": "disjoint", "budget": {"amount": 100}, **fields}
    return {one.name: one for one in expand("f", TypeAdapter(FamilyTable).validate_python(table))}


def drawn(mixture: Mixture, **fields: Any) -> pl.DataFrame:
    return draw(mixture, {"math": index(**fields)}, data_seed=4)


def described(mixture: Mixture, examples: pl.DataFrame) -> dict[str, Any]:
    return manifest(mixture, examples, corpora={"math": RECORD}, tokens={}, others={}, data_seed=4)


def keys(examples: pl.DataFrame) -> list[tuple[Any, ...]]:
    return examples.select("item_id", "language", "repeat").rows()


STAGES = [{"en": 0.5}, {"en": 0.1, "sw": 0.4}]


def test_a_curriculum_its_reverse_and_its_control_hold_the_same_examples() -> None:
    found = {name: drawn(one) for name, one in family(kind="curriculum", stages=STAGES).items()}
    assert len({frozenset(keys(examples)) for examples in found.values()}) == 1
    assert len({tuple(keys(examples)) for examples in found.values()}) == 3
    assert STAGE not in found["f-shuffled"].columns


@pytest.mark.parametrize("pairing", ["shared", "disjoint", "independent"])
def test_stages_follow_each_other_with_exact_counts(pairing: str) -> None:
    mixture = family(kind="curriculum", stages=STAGES, pairing=pairing)["f-forward"]
    examples = drawn(mixture)
    assert examples[STAGE].to_list() == [0] * 50 + [1] * 50
    proof = described(mixture, examples)
    assert proof["stages"] == [
        {"counts": {"math": {"en": 50, "sw": 0}}, "replayed": {"math": {"en": 0, "sw": 0}}},
        {"counts": {"math": {"en": 10, "sw": 40}}, "replayed": {"math": {"en": 0, "sw": 0}}},
    ]
    assert proof["counts"] == proof["unique_items"] == {"math": {"en": 60, "sw": 40}}


def test_a_stage_is_shuffled_unless_ordered_by_language() -> None:
    stages = [{"en": 0.25, "sw": 0.25}, {"en": 0.5}]
    shuffled = drawn(family(kind="curriculum", stages=stages)["f-forward"])
    ordered = drawn(family(kind="curriculum", stages=stages, order="by_language")["f-forward"])
    assert set(keys(shuffled)[:50]) == set(keys(ordered)[:50])
    assert ordered["language"].to_list() == ["en"] * 25 + ["sw"] * 25 + ["en"] * 50
    assert shuffled["language"].to_list()[:50] != ["en"] * 25 + ["sw"] * 25


@settings(max_examples=40, deadline=None)
@given(
    share=st.sampled_from([0.0, 0.05, 0.3, 0.5]), amount=st.integers(30, 150), unit=st.sampled_from(["items", "bytes"])
)
def test_replay_takes_its_share_of_later_stages_from_earlier_ones(share: float, amount: int, unit: str) -> None:
    scale = 1 if unit == "items" else 20
    budget = {"amount": amount * scale, "unit": unit}
    (mixture,) = family(kind="replay", stages=[{"en": 0.6}, {"sw": 0.4}], replay=[share], budget=budget).values()
    examples = drawn(mixture, num_items=400, lengths=unit != "items")
    first, second = described(mixture, examples)["stages"]
    assert sum(mixture.amounts().values()) == amount * scale
    again, new = second["counts"]["math"]["en"], second["counts"]["math"]["sw"]
    assert second["replayed"]["math"] == {"en": again, "sw": 0}
    assert first["replayed"]["math"] == {"en": 0, "sw": 0}
    if unit == "items":
        assert first["counts"]["math"]["en"] + again + new == amount
        assert again == pytest.approx(share * (again + new), abs=1)
    assert sum(mixture.new_amounts().values()) == sum(mixture.amounts().values()) - sum(
        sum(cells.values()) for stage in mixture.stages for cells in stage.replayed.values()
    )


def test_later_stages_replay_other_items() -> None:
    stages = [{"en": 0.4}, {"sw": 0.3}, {"de": 0.3}]
    (mixture,) = family(kind="replay", stages=stages, replay=[0.3]).values()
    examples = drawn(mixture)
    again = examples.filter(pl.col(STAGE) > 0, language="en")
    assert again["item_id"].n_unique() == again.height > 10
    assert again["repeat"].unique().to_list() == [1]


@pytest.mark.parametrize("pairing", ["shared", "disjoint", "independent"])
def test_no_item_is_used_more_often_than_the_limit(pairing: str) -> None:
    found = family(kind="upsampling", items={"en": 90, "sw": 20, "de": 5}, max_uses=[1, 4], pairing=pairing)
    for name, uses, counts in (
        ("f-1", 1, {"en": 75, "sw": 20, "de": 5}),
        ("f-4", 4, {"en": 40, "sw": 40, "de": 20}),
    ):
        proof = described(found[name], drawn(found[name]))
        assert proof["counts"] == {"math": counts}
        assert max(proof["most_uses"]["math"].values()) == uses
        assert all(n <= {"en": 90, "sw": 20, "de": 5}[tag] for tag, n in proof["unique_items"]["math"].items())


def test_too_few_different_items_are_an_error_and_are_not_repeated_instead() -> None:
    mixture = family(kind="upsampling", items={"en": 90, "sw": 20}, max_uses=[2])["f-2"]
    with pytest.raises(MixtureError, match="too few"):
        draw(mixture, {"math": index(50)}, data_seed=4)
