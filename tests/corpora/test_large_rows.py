"""Rows of any size: checks look at a bounded part of them, what no model reads is refused, both in seconds."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from crosslift.corpora.corpus import MAX_MESSAGE, Source
from crosslift.corpora.findings import MAX_CHECKED
from crosslift.corpora.ingest import read_checked
from crosslift.corpora.leaks import find_leaks
from crosslift.errors import CorpusError

PIECES = ("a", "7", "1.", "[", "[{", '"', "`", "f(", "a.", "三", "\n{", "x-1 ", "#### ", "twenty 42, ", "x\t", "{{")


def source(folder: Path, prompt: str, **fields: str) -> Source:
    rows = [
        {"item_id": f"i{i}", "language": tag, "prompt": f"{i} and some words", "completion": "7", "answer": "7"}
        for i in range(25)
        for tag in ("en", "sw")
    ]
    rows[2] |= {"prompt": prompt, **fields}
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return Source(name="train", reader="jsonl", task="math", languages=("en", "sw"), path=file)


@pytest.mark.parametrize("piece", PIECES)
def test_a_long_row_takes_seconds_and_is_named(tmp_path: Path, piece: str):
    length = 1_000_000
    given = source(tmp_path, (piece * length)[:length])
    begun = time.process_time()
    checked = read_checked(given)
    find_leaks([checked.corpus], checked.corpus)
    assert time.process_time() - begun < 8
    said = checked.findings.filter(check="lengths", language="en")["reason"].to_list()
    assert f"row of 1000000 characters: checks look at the first {MAX_CHECKED:,} of each text" in said


def test_the_ratio_of_lengths_is_that_of_the_whole_text(tmp_path: Path):
    checked = read_checked(source(tmp_path, "word " * 200_000))
    factors = [
        reason for reason in checked.findings.filter(check="lengths", language="sw")["reason"] if "times" in reason
    ]
    assert len(factors) == 1
    assert float(factors[0].split()[0]) < 0.001


def test_rows_within_the_limit_are_not_named(tmp_path: Path):
    checked = read_checked(source(tmp_path, "ж" * MAX_CHECKED))
    assert not any("characters" in reason for reason in checked.findings.filter(check="lengths")["reason"])


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"prompt": "a" * 50_000_000}, f"1 row has a message of more than {MAX_MESSAGE:,} bytes"),
        ({"answer": "1" * 50_000_000}, f"1 row has an answer of more than {MAX_MESSAGE:,} bytes"),
        ({"item_id": "i" * 2_000_000}, "1 row has an item_id of more than 1,000 bytes"),
    ],
)
def test_what_no_model_reads_is_refused_in_seconds(tmp_path: Path, fields: dict[str, str], says: str):
    given = source(tmp_path, **{"prompt": "x", **fields})
    begun = time.process_time()
    with pytest.raises(CorpusError, match=says) as caught:
        read_checked(given)
    assert time.process_time() - begun < 3
    assert len(str(caught.value)) < 2000
