"""Items of evaluation sets that training holds are found in any language, and others are not."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from crosslift.corpora.corpus import ROWS, ParallelCorpus, Source
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


def calls(name: str, split: str, answers: list[str]) -> ParallelCorpus:
    source = Source(name=name, reader="jsonl", task="api_calling", split=split, languages=("en",))
    rows = [
        {
            "item_id": f"{split}-{number}",
            "language": "en",
            "messages": [
                {"role": "user", "content": f"{name}: request {number} of {split}"},
                {"role": "assistant", "content": answer},
            ],
            "answer": answer,
            "cluster": None,
            "origin": None,
        }
        for number, answer in enumerate(answers)
    ]
    return ParallelCorpus.build(source, pl.DataFrame(rows, schema=ROWS), licence="", revision="")


def test_apis_that_training_and_test_share_are_told_once_each_as_a_warning():
    trained = calls("calls", "train", ["[Book(day='1')]", "[Cancel(id='2')]", '[{"name": "Pay", "arguments": {}}]'])
    test = calls("test", "test", ["[Book(day='3')]", "[Book(day='4')]", '{"name": "Pay"}', "[Open(note='Cancel(1)')]"])
    found = find_leaks([trained], test)
    assert found.select("item_id", "severity").rows() == [("test-0", "warning"), ("test-2", "warning")]
    assert found["reason"][0] == "corpora.calls trains calls of the API 'Book'"
    assert find_leaks([calls("other", "train", ["[Rent(day='1')]"])], test).is_empty()
