"""Items of evaluation sets that training holds are found in any language, and others are not."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from crosslift.corpora.corpus import ParallelCorpus, Source
from crosslift.corpora.leaks import find_leaks
from crosslift.corpora.readers.general import pocket


def corpus_of(split: str, languages: tuple[str, ...], items: int = 40) -> ParallelCorpus:
    return pocket.read(
        Source(name=f"math-{split}", reader="pocket", task="math", split=split, languages=languages, max_items=items)
    )


def with_items(corpus: ParallelCorpus, other: ParallelCorpus, tag: str, prefix: str) -> ParallelCorpus:
    """Three items of another corpus, in one language, under ids of their own."""
    rows = other.rows.filter(language=tag).head(3).with_columns(item_id=pl.format("{}{}", pl.lit(prefix), "item_id"))
    return replace(corpus, rows=pl.concat([corpus.rows.filter(language=tag), rows]), languages=(tag,))


def test_disjoint_splits_share_nothing():
    assert find_leaks([corpus_of("train", ("en", "sw"))], corpus_of("test", ("en", "sw", "de"))).is_empty()


def test_a_text_is_found_in_every_language_that_training_holds_it_in():
    test = corpus_of("test", ("en", "sw", "de"))
    leaking = with_items(corpus_of("train", ("en", "sw")), test, "en", "mine-")
    found = find_leaks([leaking], test)
    assert found["language"].to_list() == ["en"] * 3
    assert set(found["check"]) == {"leaks"}
    assert found["reason"][0] == "corpora.math-train holds this text as 'mine-math-test-00000' in en"


def test_a_swahili_test_item_is_found_by_the_id_of_an_english_training_item():
    test = corpus_of("test", ("sw",))
    leaking = with_items(corpus_of("train", ("en",)), corpus_of("test", ("en",)), "en", "")
    found = find_leaks([leaking], test)
    assert found["item_id"].to_list() == ["math-test-00000", "math-test-00001", "math-test-00002"]
    assert "holds this id" in found["reason"][0]
