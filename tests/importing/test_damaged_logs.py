"""Logs that are damaged or made by others: one message with the file, never a traceback."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import polars as pl
import pytest

from crosslift.errors import CrossliftError, StudyError, TransferError
from crosslift.importing.mapping import load_import
from crosslift.importing.results import read_results

MAPPING = """
name = "x"
[source]
format = "FORMAT"
path = "PATH"
[columns]
run = "model"
task = "task_name"
language = "filter"
value = "value"
"""


def mapping(folder: Path, kind: str, path: str) -> Path:
    file = folder / "m.toml"
    text = MAPPING.replace("FORMAT", kind).replace("PATH", path)
    file.write_text(text if kind == "lm_eval" else text.replace('"filter"', '"metric"'))
    return file


def archive(*, header: bytes = b'{"eval": {"model": "m", "task": "t"}}', **samples: bytes) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as log:
        log.writestr("header.json", header)
        for name, content in samples.items():
            log.writestr(f"samples/{name}.json", content)
    return data.getvalue()


SAMPLE = json.dumps({"id": 1, "scores": {"match": {"value": "C"}}}).encode() + b" " * 2000
WHOLE = archive(a=SAMPLE)
NESTED = b"[" * 100_000

INSPECT = {
    "empty.eval": b"",
    "text.eval": b"no archive",
    "cut.eval": WHOLE[: len(WHOLE) // 2],
    "flipped.eval": WHOLE.replace(WHOLE[100:110], bytes(10)),
    "header_a_list.eval": archive(header=b"[]", a=SAMPLE),
    "header_nested.eval": archive(header=NESTED, a=SAMPLE),
    "header_of_text.eval": archive(header=b'{"eval": "x"}', a=SAMPLE),
    "sample_a_list.eval": archive(a=b"[]"),
    "sample_nested.eval": archive(a=NESTED),
    "scores_a_list.eval": archive(a=b'{"id": 1, "scores": [1]}'),
    "value_a_list.eval": archive(a=b'{"id": 1, "scores": {"m": {"value": [1]}}}'),
    "value_missing.eval": archive(a=b'{"id": 1, "scores": {"m": {}}}'),
    "epoch_of_5000_digits.eval": archive(
        a=b'{"id": 1, "epoch": "' + b"9" * 5000 + b'", "scores": {"m": {"value": 1}}}'
    ),
    "samples_of_numbers.json": b'{"eval": {"model": "m", "task": "t"}, "samples": [1, 2]}',
    "nested.json": NESTED,
    "not_utf8.json": b"\xff\xfe",
}


@pytest.mark.parametrize("name", INSPECT)
def test_damaged_logs_of_inspect(tmp_path: Path, name: str):
    (tmp_path / name).write_bytes(INSPECT[name])
    with pytest.raises(TransferError) as caught:
        read_results(load_import(mapping(tmp_path, "inspect", name)))
    assert name in str(caught.value)


RESULTS = {
    "nested": NESTED,
    "a_list": b"[]",
    "results_a_list": b'{"results": []}',
    "results_of_numbers": b'{"results": {"t": 1}}',
    "no_value": b'{"results": {"t": {"alias": "t"}}}',
    "samples_of_text": b'{"results": {"t": {"acc,none": 1}}, "n-samples": {"t": "x"}}',
    "not_utf8": b"\xff",
}


@pytest.mark.parametrize("name", RESULTS)
def test_damaged_results_of_lm_eval(tmp_path: Path, name: str):
    (tmp_path / "results_1.json").write_bytes(RESULTS[name])
    with pytest.raises(TransferError):
        read_results(load_import(mapping(tmp_path, "lm_eval", ".")))


LINES = (b"[]", b"1", NESTED, b'{"metrics": 1}', b'{"metrics": ["acc"]}', b'{"metrics": []}', b"\xff", b"{")


@pytest.mark.parametrize("line", LINES)
def test_damaged_samples_of_lm_eval(tmp_path: Path, line: bytes):
    (tmp_path / "samples_t_2026-11-21T12-30-00.1.jsonl").write_bytes(line + b"\n")
    with pytest.raises(TransferError):
        read_results(load_import(mapping(tmp_path, "lm_eval", ".")))


def test_a_mapping_without_a_value_is_refused_for_every_format(tmp_path: Path):
    for kind in ("table", "lm_eval", "inspect"):
        file = mapping(tmp_path, kind, "x")
        file.write_text(file.read_text().replace('value = "value"\n', ""))
        with pytest.raises(StudyError, match="columns: lacks value"):
            load_import(file)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b'a,b\n"1', b"PAR1"])
@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.parquet"])
def test_tables_that_are_none(tmp_path: Path, name: str, content: bytes):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CrossliftError):
        read_results(load_import(mapping(tmp_path, "table", name)))


def test_a_parquet_file_that_is_cut_off(tmp_path: Path):
    pl.DataFrame({"model": ["a"] * 100}).write_parquet(tmp_path / "x.parquet")
    (tmp_path / "x.parquet").write_bytes((tmp_path / "x.parquet").read_bytes()[:-30])
    with pytest.raises(TransferError, match=r"x\.parquet is not a table"):
        read_results(load_import(mapping(tmp_path, "table", "x.parquet")))
