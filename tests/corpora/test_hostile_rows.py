"""Rows that are damaged or hostile: an error that names the row, or rows like any others."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from crosslift.corpora.corpus import Source
from crosslift.corpora.ingest import read_checked
from crosslift.discover import member
from crosslift.errors import CorpusError

GOOD = b'{"item_id": "i0", "language": "en", "prompt": "1 + 1?", "completion": "2.", "answer": "2"}\n'
NESTED = b"[" * 100_000


def source(folder: Path, reader: str, content: bytes) -> Source:
    path = folder / "x"
    if reader == "jsonl":
        path = folder / "x.jsonl"
        path.write_bytes(content)
    else:
        path.mkdir()
        (path / "en.json").write_bytes(content)
    return Source(name="train", reader=reader, task="math", languages=("en",), path=path)


def chat(text: str) -> bytes:
    turns = [{"from": "human", "value": text}, {"from": "gpt", "value": "2"}]
    return json.dumps({"id": "i1", "conversations": turns}).encode()


ROWS = {
    "jsonl nested": ("jsonl", GOOD + NESTED, "line 2)"),
    "jsonl nested inside": ("jsonl", GOOD + b'{"item_id": ' + NESTED, "line 2)"),
    "jsonl lone surrogate": ("jsonl", GOOD + GOOD.replace(b"1 + 1", b"\\ud800"), "line 2)"),
    "jsonl lone surrogate in a key": ("jsonl", GOOD + b'{"\\udfff": 1}', "line 2)"),
    "jsonl not UTF-8": ("jsonl", GOOD + b"\xff\xfe", "line 2): is not UTF-8"),
    "jsonl key of a million": ("jsonl", GOOD + b'{"' + b"k" * 10**6 + b'": 1}', "line 2)"),
    "jsonl number of 5000 digits": ("jsonl", GOOD + GOOD.replace(b'"2"}', b"9" * 5000 + b"}"), "line 2)"),
    "sharegpt nested": ("sharegpt", NESTED, "nested too deep"),
    "sharegpt nested line": ("sharegpt", chat("x") + b"\n{" + b'"a":{' * 100_000, "line 2: is not JSON"),
    "sharegpt lone surrogate": ("sharegpt", chat("x") + b"\n" + chat("\ud800"), "line 2"),
    "sharegpt lone surrogate in a list": (
        "sharegpt",
        b"[" + chat("\ud800") + b"]",
        "item 1: contains a lone surrogate",
    ),
    "sharegpt not UTF-8": ("sharegpt", chat("x") + b"\n\xff", "line 2: is not UTF-8"),
    "sharegpt role a list": ("sharegpt", b'{"id": 1, "conversations": [{"from": [], "value": "x"}]}', "item 1"),
}


@pytest.mark.parametrize("name", ROWS)
def test_the_row_is_named(tmp_path: Path, name: str):
    reader, content, says = ROWS[name]
    given = source(tmp_path, reader, content)
    begun = time.process_time()
    with pytest.raises(CorpusError) as caught:
        member("reader", reader).read(given)
    assert says in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert time.process_time() - begun < 2


@pytest.mark.parametrize("length", [50_000_000])
def test_a_line_of_50_mb_that_is_no_json_takes_seconds(tmp_path: Path, length: int):
    begun = time.process_time()
    with pytest.raises(CorpusError, match=r"line 2\)"):
        member("reader", "jsonl").read(source(tmp_path, "jsonl", GOOD + b'{"item_id": "' + b"a" * length))
    assert time.process_time() - begun < 3


HOSTILE = (
    "../../etc/passwd",
    "/etc/passwd",
    "a\x00b",
    "CON",
    "x" * 900,
    "\u202egnp.exe",
    "<script>",
    "=1+1",
    "\x1b[2J",
)


def test_ids_are_texts_and_no_paths(tmp_path: Path):
    rows = [
        json.loads(GOOD) | {"item_id": one, "cluster": one, "prompt": f"{n} and so on"} for n, one in enumerate(HOSTILE)
    ]
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    corpus = read_checked(source(tmp_path, "jsonl", content)).corpus
    assert tuple(corpus.item_ids) == HOSTILE
    assert corpus.fingerprint()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.jsonl"]


def test_what_is_said_of_a_row_stays_in_its_line(tmp_path: Path):
    from crosslift.corpora.quality import summary_lines

    good = json.loads(GOOD)
    rows = [good | {"item_id": f"i\n\x1b[2J{n}", "prompt": "seven words of text, and then more"} for n in range(2)]
    checked = read_checked(source(tmp_path, "jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode()))
    (line,) = summary_lines(checked.findings)
    assert "\n" not in line
    assert "\x1b" not in line
