"""inspect-ai: evaluation logs, `.eval` or `.json`.

`source.path` is a log or a folder of logs. Columns: `model`, `task_name`, `metric` (the scorer), `item` (the sample's
id), `epoch`, `value` (C is 1, P is 0.5, I and N are 0), `cluster` (if it is in the samples' metadata), and the named
groups of `source.pattern` in `task_name`. A sample that ended in an error has no value; of an incomplete log, the
samples it contains are read.
"""

from __future__ import annotations

import json
import struct
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from crosslift.errors import TransferError, visible
from crosslift.extras import optional
from crosslift.importing.mapping import ImportMapping
from crosslift.importing.pattern import parse_task_names

COLUMNS = ("model", "task_name", "metric", "item", "epoch", "value")
"""Columns that a mapping can refer to."""
LETTER_SCORES = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
"""Letter of inspect's scorers -> value."""


def read(mapping: ImportMapping) -> pl.DataFrame:
    """Read all samples of all logs, one row per sample and scorer.

    Raises:
        TransferError: there are no logs, or a file is not a log.
    """
    path = mapping.path
    files = [path] if path.is_file() else sorted([*path.rglob("*.eval"), *path.rglob("*.json")])
    if not files:
        raise TransferError(f"{path}: contains no .eval or .json log. Use inspect's log folder.")
    rows = [row for file in files for row in _rows(file)]
    return parse_task_names(mapping, pl.DataFrame(rows, infer_schema_length=None))


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    try:
        header, samples = _zipped(file) if file.suffix == ".eval" else _plain(file)
        facts = {"model": header["eval"]["model"], "task_name": header["eval"]["task"]}
        scorers = list(dict.fromkeys(scorer for sample in samples for scorer in sample.get("scores") or {}))
        if not scorers:
            raise TransferError(
                f"{file.name}: none of its {len(samples)} samples was scored. Remove the log, or score it."
            )
        for sample in samples:
            failed = sample.get("error") is not None
            scores = sample.get("scores") or {}
            known = sample.get("metadata") or {}
            cluster = {"cluster": str(known["cluster"])} if "cluster" in known else {}
            for scorer in scorers:
                yield facts | {
                    "metric": scorer,
                    "item": str(sample["id"]),
                    "epoch": int(sample.get("epoch", 1)),
                    "value": None if failed or scorer not in scores else _value(scores[scorer]["value"]),
                    **cluster,
                }
    except TransferError:
        raise
    except Exception as error:  # damaged archives and odd JSON fail in many ways: zlib.error, RecursionError, EOFError
        said = visible(repr(error), 200)
        raise TransferError(
            f"{file.name}: is not a log of inspect ({said}). Copy it again, or leave it out."
        ) from error


def _zipped(file: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    with zipfile.ZipFile(file) as log:
        names = log.namelist()
        header = json.loads(_read(log, "header.json" if "header.json" in names else "_journal/start.json"))
        samples = [json.loads(_read(log, name)) for name in sorted(names) if name.startswith("samples/")]
    return header, samples


MAX_MEMBER = 2**30
"""Bytes of one part of a log, unpacked."""
ZSTANDARD = 93
"""Compression method of a ZIP member compressed with Zstandard."""
_HEADER, _LENGTHS = 30, slice(26, 30)
"""Of a member's local header: its size without the name, and where the lengths of name and extra field stand."""


def _read(log: zipfile.ZipFile, name: str) -> bytes:
    """Read one member. inspect compresses with Zstandard, which Python's zipfile supports only from 3.14 on."""
    info = log.getinfo(name)
    if info.file_size > MAX_MEMBER:
        raise TransferError(f"{log.filename}: {name} would have {info.file_size:,} bytes. Leave the log out.")
    if info.compress_type != ZSTANDARD or sys.version_info >= (3, 14):
        return log.read(name)
    with optional():
        from backports.zstd import ZstdError, decompress

    assert log.fp is not None
    log.fp.seek(info.header_offset)
    head = log.fp.read(_HEADER)
    log.fp.seek(sum(struct.unpack("<HH", head[_LENGTHS])), 1)
    data = log.fp.read(info.compress_size)
    try:
        return bytes(decompress(data))
    except ZstdError as error:
        raise ValueError(f"{name}: {error}") from error


def _plain(file: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    log = json.loads(file.read_text(encoding="utf-8"))
    return log, log.get("samples") or []


def _value(value: Any) -> float:
    if isinstance(value, (bool, int, float)):
        return float(value)
    if value in LETTER_SCORES:
        return LETTER_SCORES[value]
    raise ValueError(f"a score of {value!r} is not a number")
