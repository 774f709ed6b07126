"""Reader of JSON lines: one object per line, in UTF-8, with the columns of `tabular`.

Each line is validated against a strict schema, because a reader that infers types silently replaces missing or misspelt
keys by nulls. Errors state the number of the line. The throughput is about 150,000 lines per second on one core.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Required

import polars as pl
from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from crosslift.corpora.corpus import MESSAGE, ROWS, CorpusError, ParallelCorpus, Source
from crosslift.corpora.tabular import OPTIONS, corpus_of, files_of, to_rows, unknown_column

NEEDS_PATH = True
MAX_SHOWN = 10
"""Invalid lines reported per file; further ones are only counted."""

__all__ = ["NEEDS_PATH", "OPTIONS", "read"]


@with_config(ConfigDict(extra="forbid", strict=True))
class Message(TypedDict):
    role: str
    content: str


@with_config(ConfigDict(extra="forbid", strict=True))
class Line(TypedDict, total=False):
    item_id: Required[str | int]
    language: str
    messages: list[Message]
    prompt: str
    completion: str
    answer: Required[str | int]
    cluster: str | int
    origin: str


LINE: TypeAdapter[Line] = TypeAdapter(Line)


def read(source: Source) -> ParallelCorpus:
    """Read one file, or a folder with one file per language (`sw.jsonl`).

    Raises:
        CorpusError: Unreadable or empty files, invalid lines (each with its number), or rows that are not parallel.
    """
    files = files_of(source, ".jsonl")
    problems: list[str] = []
    rows = [_read(source, file, language, problems) for file, language in files]
    if problems:
        raise CorpusError("\n".join(problems))
    return corpus_of(source, rows, [file for file, _ in files])


def _read(source: Source, file: Path, language: str | None, problems: list[str]) -> pl.DataFrame:
    place = f"corpora.{source.name} ({file.name}"
    try:
        data = file.read_bytes()
    except OSError as error:
        raise CorpusError(f"{place}): cannot be read: {error.strerror}. Grant read permission.") from error
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problems.append(f"{place}, line {line}): is not UTF-8. Save the file as UTF-8.")
        return pl.DataFrame(schema=ROWS)
    lines: list[Line] = []
    bad: list[str] = []
    # Split at line feeds only: str.splitlines also splits at U+2028, which may occur in JSON strings.
    for number, text in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not text or text.isspace():
            continue
        try:
            row = LINE.validate_json(text)
        except ValidationError as error:
            bad.append(f"{place}, line {number}): {_describe_all(error)}")
            continue
        if ("messages" in row) == ("prompt" in row) or ("prompt" in row) != ("completion" in row):
            bad.append(f"{place}, line {number}): needs messages, or prompt and completion, and not both. Correct it.")
        elif "language" not in row and language is None:
            bad.append(f"{place}, line {number}): 'language' is missing. Add it.")
        else:
            lines.append(row)
    problems += bad[:MAX_SHOWN]
    if len(bad) > MAX_SHOWN:
        problems.append(f"{place}): {len(bad) - MAX_SHOWN} more lines are invalid.")
    if not lines and not bad:
        problems.append(f"{place}): is empty. Fill it, or correct the path.")
    if not lines:
        return pl.DataFrame(schema=ROWS)
    return to_rows(_frame(lines), language)


def _frame(lines: list[Line]) -> pl.DataFrame:
    columns: dict[str, pl.Series] = {}
    for name in Line.__annotations__:
        values: list[Any] = [line.get(name) for line in lines]
        if any(value is not None for value in values):
            if name == "messages":
                columns[name] = pl.Series(values, dtype=pl.List(MESSAGE))
            else:
                columns[name] = pl.Series([None if value is None else str(value) for value in values], dtype=pl.String)
    return pl.DataFrame(columns)


def _describe_all(error: ValidationError) -> str:
    """Return one sentence per key. pydantic reports every branch of a union; only the first is used."""
    problems: dict[str, str] = {}
    for mistake in error.errors():
        path = ".".join(str(step) for step in mistake["loc"] if step not in ("str", "int"))
        problems.setdefault(path, _describe(mistake, path))
    return " ".join(problems.values())


def _describe(mistake: Any, path: str) -> str:
    match mistake["type"]:
        case "json_invalid":
            return f"is not a JSON object: {mistake['ctx']['error'].split(' at line')[0]}. Correct the line."
        case "missing":
            return f"'{path}' is missing. Add it."
        case "extra_forbidden":
            return unknown_column(path)
        case "dict_type" if not path:
            return "is not a JSON object in { }. Correct the line."
        case "list_type":
            wanted = "a list"
        case "dict_type":
            wanted = "an object with role and content"
        case _:
            wanted = "a text or a whole number" if path in ("item_id", "answer", "cluster") else "a text"
    return f"{path} must be {wanted}, not {mistake['input']!r:.40}. Correct it."
