"""A mixture grows until its corpora are used up, and keeps its shares."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosslift.errors import MixtureError
from crosslift.final.size import count_items, sized_mixture
from crosslift.mixtures.draw import CorpusIndex, draw
from crosslift.mixtures.mixture import Budget, Component, Mixture

TAGS = ("en", "es", "sw")


def index(num_items: int, *, name: str = "train", lengths: bool = False) -> CorpusIndex:
    sizes = 5 + np.arange(num_items * len(TAGS)).reshape(num_items, len(TAGS)) % 7
    return CorpusIndex(
        name=name,
        languages=TAGS,
        item_ids=pl.Series([f"{name}{i}" for i in range(num_items)]),
        lengths=sizes if lengths else None,
    )


def mixture(shares: dict[str, float], **changes) -> Mixture:
    settings = {"name": "m", "components": (Component(corpus="train", shares=shares),), "pairing": "shared"}
    return Mixture(**settings | {"budget": Budget(amount=10)} | changes)


def amounts(found: Mixture) -> dict[str, int]:
    return {tag: amount for (_, tag), amount in found.amounts().items()}


@pytest.mark.parametrize(
    ("pairing", "repeat", "expected"),
    [
        ("shared", False, {"en": 100, "sw": 25}),
        ("independent", False, {"en": 100, "sw": 25}),
        ("disjoint", False, {"en": 80, "sw": 20}),
        ("shared", True, {"en": 100, "sw": 25}),
    ],
)
def test_the_pairing_says_what_the_corpora_hold(pairing: str, repeat: bool, expected: dict[str, int]):
    found = sized_mixture(
        mixture({"en": 0.8, "sw": 0.2}, pairing=pairing, repeat=repeat), {"train": index(100)}, data_seed=0
    )
    assert amounts(found) == expected
    assert draw(found, {"train": index(100)}, data_seed=0).height == sum(expected.values())


def test_with_repetition_the_largest_share_is_used_once_and_small_corpora_are_repeated():
    parts = (Component(corpus="train", shares={"en": 0.5}), Component(corpus="small", shares={"sw": 0.5}))
    indexes = {"train": index(100), "small": index(10, name="small")}
    repeated = sized_mixture(mixture({}, components=parts, repeat=True), indexes, data_seed=0)
    assert amounts(repeated) == {"en": 100, "sw": 100}
    once = sized_mixture(mixture({}, components=parts), indexes, data_seed=0)
    assert amounts(once) == {"en": 11, "sw": 10}  # a total of 21, rounded


def test_counts_and_budgets_per_language_keep_their_proportions():
    counts = (Component(corpus="train", counts={"en": 30, "es": 0, "sw": 10}),)
    assert amounts(sized_mixture(mixture({}, components=counts, budget=None), {"train": index(90)}, data_seed=0)) == {
        "en": 90,
        "sw": 30,
    }
    each = mixture({"en": 1.0, "sw": 1.0}, budget=Budget(amount=5, per="language"))
    assert amounts(sized_mixture(each, {"train": index(90)}, data_seed=0)) == {"en": 90, "sw": 90}


@pytest.mark.parametrize("pairing", ["shared", "disjoint"])
def test_tokens_are_used_up_too(pairing: str):
    indexes = {"train": index(60, lengths=True)}
    asked = mixture({"en": 0.5, "sw": 0.5}, budget=Budget(amount=40, unit="tokens", tokenizer="t"), pairing=pairing)
    found = sized_mixture(asked, indexes, data_seed=0)
    drawn = draw(found, indexes, data_seed=0)
    assert drawn.height >= (0.95 * 120 if pairing == "shared" else 0.9 * 60)
    fewer = sized_mixture(asked, indexes, data_seed=0, num_items=20)
    assert 18 <= count_items(fewer, indexes, 0) <= 20


def test_another_size_is_met_or_refused_with_what_there_is():
    half = mixture({"en": 0.5, "sw": 0.5})
    assert amounts(sized_mixture(half, {"train": index(50)}, data_seed=0, num_items=31)) == {"en": 16, "sw": 15}
    with pytest.raises(MixtureError, match="101 items were asked for, and the corpora hold 100 in these shares"):
        sized_mixture(half, {"train": index(50)}, data_seed=0, num_items=101)
    with pytest.raises(MixtureError, match="none would be in sw"):
        sized_mixture(mixture({"en": 0.99, "sw": 0.01}), {"train": index(50)}, data_seed=0, num_items=10)
    more = mixture({"en": 0.5, "sw": 0.5}, repeat=True)
    assert sum(amounts(sized_mixture(more, {"train": index(50)}, data_seed=0, num_items=500)).values()) == 500


@given(
    weights=st.lists(st.integers(1, 50), min_size=1, max_size=3),
    num_items=st.integers(60, 400),
    pairing=st.sampled_from(["shared", "disjoint", "independent"]),
)
def test_one_more_item_would_not_fit_and_this_size_does(weights: list[int], num_items: int, pairing: str):
    shares = {tag: weight / sum(weights) for tag, weight in zip(TAGS, weights, strict=False)}
    indexes = {"train": index(num_items)}
    found = sized_mixture(mixture(shares, pairing=pairing), indexes, data_seed=1)
    assert draw(found, indexes, data_seed=1).height == found.budget.amount
    used = amounts(found)
    limit = sum(used.values()) if pairing == "disjoint" else max(used.values())
    assert num_items - 1 <= limit <= num_items
