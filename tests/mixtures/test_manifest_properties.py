"""A manifest counts what was drawn, whatever was drawn."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from crosslift.mixtures.draw import CorpusIndex, draw
from crosslift.mixtures.manifest import CorpusRecord, items_of, manifest
from crosslift.mixtures.mixture import Budget, Component, Mixture

TAGS = ("en", "es", "sw")
NUM_ITEMS = 30
RECORDS = {"toy": CorpusRecord(languages=TAGS, fingerprint="f", revision="r", licence="l")}
INDEX = CorpusIndex(
    name="toy", languages=TAGS, item_ids=pl.Series([f"i{i}" for i in range(NUM_ITEMS)], dtype=pl.String)
)
TOKENS = np.arange(1, NUM_ITEMS * len(TAGS) + 1)


@settings(max_examples=60, deadline=None)
@given(
    shares=st.lists(st.integers(1, 20), min_size=3, max_size=3),
    amount=st.integers(3, 30),
    pairing=st.sampled_from(["shared", "disjoint", "independent"]),
    order=st.sampled_from(["shuffled", "by_language"]),
    seed=st.integers(0, 5),
)
def test_counts_tokens_and_items_are_those_of_the_examples(
    shares: list[int], amount: int, pairing: str, order: str, seed: int
) -> None:
    mixture = Mixture(
        name="m",
        components=(
            Component(corpus="toy", shares={tag: share / sum(shares) for tag, share in zip(TAGS, shares, strict=True)}),
        ),
        budget=Budget(amount=amount),
        pairing=pairing,  # type: ignore[arg-type]
        order=order,  # type: ignore[arg-type]
        repeat=True,
    )
    examples = draw(mixture, {"toy": INDEX}, data_seed=seed)
    items = items_of(examples, RECORDS)
    described = manifest(
        mixture, examples, corpora=RECORDS, tokens={"m": {"toy": TOKENS}}, others={"m": items, "n": items},
        data_seed=seed,
    )  # fmt: skip
    assert described == json.loads(json.dumps(described))
    assert described["num_examples"] == examples.height == amount
    counted = dict(examples.group_by("language").len().iter_rows())
    assert {tag: n for tag, n in described["counts"]["toy"].items() if n} == counted
    assert sum(described["counts"]["toy"].values()) == amount
    assert described["num_items"] == examples["item_id"].n_unique() == described["overlap"]["n"]
    assert sum(described["tokens"]["m"]["toy"].values()) == int(TOKENS[examples["row"].to_numpy()].sum())
    again = manifest(
        mixture, draw(mixture, {"toy": INDEX}, data_seed=seed), corpora=RECORDS, tokens={}, others={}, data_seed=seed
    )
    assert again["examples_sha256"] == described["examples_sha256"]
