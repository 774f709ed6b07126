"""`ParallelCorpus.build`: canonical order, alignment, all problems at once."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosslift.corpora.corpus import ROWS, CorpusError, ParallelCorpus, Source

SOURCE = Source(name="toy", reader="jsonl", task="math", languages=("en", "sw"))


def row(item: str, tag: str, **fields: object) -> dict[str, object]:
    turns = [{"role": "user", "content": f"{tag} {item}?"}, {"role": "assistant", "content": f"{item}!"}]
    return {
        "item_id": item,
        "language": tag,
        "messages": turns,
        "answer": item,
        "cluster": None,
        "origin": None,
    } | fields


def build(rows: list[dict[str, object]], **changes: object) -> ParallelCorpus:
    source = replace(SOURCE, **changes)  # type: ignore[arg-type]
    return ParallelCorpus.build(source, pl.DataFrame(rows, schema=ROWS), licence="CC0", revision="1")


def grid(*items: str, tags: tuple[str, ...] = ("en", "sw")) -> list[dict[str, object]]:
    return [row(item, tag) for item in items for tag in tags]


@given(order=st.permutations(range(8)))
def test_rows_come_in_item_order_then_language_order_whatever_the_file_has(order: list[int]) -> None:
    rows = grid("a", "b", "c", "d")
    corpus = build([rows[i] for i in order])
    assert corpus.rows["language"].to_list() == ["en", "sw"] * 4
    first_seen = list(dict.fromkeys(str(rows[i]["item_id"]) for i in order))
    assert corpus.item_ids.to_list() == first_seen
    for item, name in enumerate(first_seen):
        for tag in ("en", "sw"):
            assert corpus.rows.row(corpus.row(item, tag))[:2] == (name, tag)


def test_the_order_of_languages_is_that_of_the_study() -> None:
    assert build(grid("a"), languages=("sw", "en")).rows["language"].to_list() == ["sw", "en"]


def test_languages_that_were_not_asked_for_are_ignored() -> None:
    assert build(grid("a", tags=("en", "sw", "te"))).rows.height == 2


def test_items_are_clusters_of_their_own_unless_the_reader_says_otherwise() -> None:
    rows = [row("a", "en"), row("a", "sw", cluster="dialogue-1", origin="human")]
    corpus = build(rows)
    assert corpus.rows["cluster"].to_list() == ["a", "dialogue-1"]
    assert corpus.rows["origin"].to_list() == ["unknown", "human"]


def test_max_items_keeps_the_first_complete_items() -> None:
    rows = [*grid("a"), row("b", "en"), *grid("c", "d")]
    corpus = build(rows, incomplete="drop", max_items=2)
    assert corpus.item_ids.to_list() == ["a", "c"]
    assert corpus.notes == ("1 of 4 items were dropped because they lack one of en, sw.",)


def test_a_smaller_corpus_is_the_beginning_of_a_larger_one() -> None:
    rows = grid("a", "b", "c")
    assert build(rows, max_items=2).rows.equals(build(rows).rows.head(4))


def test_incomplete_items_are_an_error_that_names_item_and_language() -> None:
    with pytest.raises(CorpusError, match=r"1 of 2 items lack a language: 'b' \(sw\)"):
        build([*grid("a"), row("b", "en")])


def test_all_problems_are_reported_at_once() -> None:
    turns = [{"role": "assistant", "content": "?"}, {"role": "user", "content": " "}]
    rows = [*grid("a"), row("a", "en"), row("b", "en", answer=" "), row("c", "en", messages=turns), row("c", "sw")]
    with pytest.raises(CorpusError) as caught:
        build(rows)
    message = str(caught.value)
    for what in (
        "more than one row",
        "an empty answer",
        "an empty message",
        "roles out of order",
        "lack a language",
    ):
        assert what in message


def test_only_the_train_split_needs_the_assistants_last_word() -> None:
    question = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "3 + 4?"}]
    rows = [row("a", tag, messages=question) for tag in ("en", "sw")]
    assert build(rows, split="test").num_items == 1
    with pytest.raises(CorpusError, match="the last message is the assistant's"):
        build(rows)


def test_a_corpus_without_any_row_says_what_to_check() -> None:
    with pytest.raises(CorpusError, match=r"corpora\.toy \(x\.jsonl\): has no item in en, sw"):
        build([], path=Path("x.jsonl"))


def test_the_fingerprint_sees_every_cell_and_not_the_path() -> None:
    same = build(grid("a", "b"), path=Path("elsewhere.jsonl"))
    assert build(grid("a", "b")).fingerprint() == same.fingerprint()
    others = [build(grid("a", "c")), build(grid("a", "b"), languages=("sw", "en")), build(grid("a", "b"), task="other")]
    assert len({same.fingerprint(), *(other.fingerprint() for other in others)}) == 4
    answered = build([row("a", "en", answer="7"), *grid("a", "b")[1:]])
    assert answered.fingerprint() != same.fingerprint()


def test_the_fingerprint_can_be_made_without_this_program() -> None:
    corpus = build(grid("a", "b"))
    text = "toy\x1fmath\x1fen\x1fsw\x1f"
    text += "".join(json.dumps(row, separators=(",", ":"), ensure_ascii=False) + "\n" for row in corpus.rows.to_dicts())
    assert corpus.fingerprint() == hashlib.sha256(text.encode()).hexdigest()[:16]
