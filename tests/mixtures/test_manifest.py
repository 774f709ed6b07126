"""The manifest counts what was drawn."""

from __future__ import annotations

import hashlib

import numpy as np
import polars as pl

from crosslift.mixtures.draw import CorpusIndex, draw
from crosslift.mixtures.manifest import CorpusRecord, examples_sha256, items_of, manifest, shared_items
from crosslift.mixtures.mixture import Component, Mixture

TAGS = ("en", "sw")
RECORDS = {"toy": CorpusRecord(languages=TAGS, fingerprint="f", revision="r", licence="CC0")}
SOURCE = CorpusIndex(name="toy", languages=TAGS, item_ids=pl.Series([f"i{i}" for i in range(20)]))


def make(counts: dict[str, int], **fields: object) -> tuple[Mixture, pl.DataFrame]:
    mixture = Mixture(name="m", components=(Component(corpus="toy", counts=counts),), pairing="shared", **fields)  # type: ignore[arg-type]
    return mixture, draw(mixture, {"toy": SOURCE}, data_seed=0)


def describe(mixture: Mixture, examples: pl.DataFrame, **others: dict[str, np.ndarray]) -> dict:
    lengths = np.tile([2, 5], 20)  # every item has 2 tokens in English and 5 in Swahili
    return manifest(mixture, examples, corpora=RECORDS, tokens={"tiny": {"toy": lengths}}, others=others, data_seed=0)


def test_counts_and_tokens_are_those_of_the_examples() -> None:
    found = describe(*make({"en": 8, "sw": 3}))
    assert found["counts"] == found["unique_items"] == {"toy": {"en": 8, "sw": 3}}
    assert found["tokens"] == {"tiny": {"toy": {"en": 16, "sw": 15}}}
    assert (found["num_examples"], found["num_items"]) == (11, 8)


def test_fertility_is_relative_to_english_on_the_same_items_even_without_english_in_the_mixture() -> None:
    assert describe(*make({"sw": 3}))["fertility"] == {"tiny": {"sw": 2.5}}


def test_repeated_items_count_once_as_items() -> None:
    found = describe(*make({"en": 30}, repeat=True))
    assert found["counts"] == {"toy": {"en": 30}}
    assert found["unique_items"] == {"toy": {"en": 20}}


def test_a_language_with_dose_zero_is_counted_and_not_trained_on() -> None:
    found = describe(*make({"en": 2, "sw": 0}))
    assert found["languages"] == ["en"]
    assert found["counts"] == {"toy": {"en": 2, "sw": 0}}


def test_overlap_counts_items_in_whatever_language() -> None:
    mixture, examples = make({"en": 8})
    other = items_of(make({"sw": 5})[1], RECORDS)
    assert describe(mixture, examples, other=other, m=other)["overlap"] == {"other": 5}
    assert shared_items(other, {}) == 0


def test_the_hash_is_that_of_a_csv_that_anybody_can_write() -> None:
    examples = make({"en": 2})[1]
    text = "corpus,item_id,language,repeat\n" + "".join(f"toy,{item},en,0\n" for item in examples["item_id"])
    assert examples_sha256(examples) == hashlib.sha256(text.encode()).hexdigest()
