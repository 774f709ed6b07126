"""Items are taken from the beginning of a file, or at random by the data seed; fewer are always among more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tiny_study import STUDY, write_corpus, write_study

from crosslift.corpora.corpus import Source
from crosslift.corpora.ingest import read_checked
from crosslift.studies.parsing.load import load


@pytest.fixture
def source(tmp_path: Path) -> Source:
    write_corpus(tmp_path / "train.jsonl", 40, first=0)
    return Source(
        name="train", reader="jsonl", task="math", path=tmp_path / "train.jsonl", languages=("en", "sw"), max_items=10
    )


def ids(source: Source) -> list[str]:
    corpus = read_checked(source).corpus
    assert corpus.rows["item_id"].n_unique() * len(source.languages) == corpus.rows.height
    return corpus.item_ids.to_list()


def test_the_first_items_are_the_default(source: Source):
    assert ids(source) == [f"i{number}" for number in range(10)]


def test_random_items_depend_on_the_seed_and_on_nothing_else(source: Source):
    random = replace(source, order="random")
    assert ids(random) == ids(random) != ids(source)
    assert ids(random) != ids(replace(random, data_seed=1))
    assert set(ids(random)) == set(ids(replace(random, languages=("es", "sw", "en"))))
    assert ids(random) == sorted(ids(random), key=lambda one: int(one[1:]))  # in the order of the file
    assert set(ids(random)) < set(ids(replace(random, max_items=20)))
    assert ids(replace(random, max_items=None)) == ids(replace(source, max_items=None))
    assert ids(replace(random, checks={"duplicates": "drop"})) == ids(random)


def test_only_a_random_order_is_part_of_the_identity_of_a_corpus(tmp_path: Path):
    plain = load(write_study(tmp_path / "study"))
    assert plain.identity_of_corpus("train").keys() & {"order", "data_seed"} == set()
    text = STUDY.replace('path = "train.jsonl"', 'path = "train.jsonl"\norder = "random"\nmax_items = 39')
    drawn = load(write_study(tmp_path / "drawn", text=text))
    assert drawn.identity_of_corpus("train")["order"] == "random"
