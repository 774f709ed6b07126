"""Rows of published files in Parquet, JSON, JSON lines, CSV, TSV, or plain text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from crosslift.corpora.corpus import CorpusError, Source
from crosslift.corpora.published import Problems, read_lines
from crosslift.untrusted.json_text import parse_json

SUFFIXES = (".parquet", ".jsonl", ".json", ".ndjson", ".csv", ".tsv")


def load_rows(
    source: Source, file: Path, *, texts: Sequence[str] = (), limit: int | None = None
) -> list[dict[str, Any]]:
    """Load the rows of a file.

    Args:
        source: Specification of the corpus, for messages.
        file: The file; its suffix says the format.
        texts: Suffixes of plain files with a text per line, which become rows with the column `text`.
        limit: Number of rows to load; None for all.

    Returns:
        Column -> value for each row. Values of CSV and TSV are text.

    Raises:
        CorpusError: The file cannot be read, or is not what its suffix says.
    """
    if file.suffix in texts:
        return [{"text": line.strip()} for line in islice(read_lines(source, file), limit)]
    if file.suffix not in SUFFIXES:
        raise CorpusError(f"{source.place}, {file.name}: is no table. Known: {', '.join(SUFFIXES)}. Convert it.")
    if file.suffix in (".json", ".jsonl", ".ndjson"):
        return _json(source, file, limit)
    try:
        if file.suffix == ".parquet":
            return pl.read_parquet(file, n_rows=limit, memory_map=False).to_dicts()
        mark = "," if file.suffix == ".csv" else "\t"
        quote = '"' if file.suffix == ".csv" else None
        return pl.read_csv(file, separator=mark, quote_char=quote, infer_schema=False, n_rows=limit).to_dicts()
    # Corruption inside a Parquet file raises a PanicException, which is not a subclass of PolarsError.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CorpusError(
            f"{source.place}, {file.name}: is not a complete {file.suffix[1:]} file ({reason}). Copy it again."
        ) from error


def _json(source: Source, file: Path, limit: int | None) -> list[dict[str, Any]]:
    lines = read_lines(source, file)
    if not any(line.strip() for line in lines):
        return []
    text = "\n".join(lines).lstrip("\ufeff").strip()
    if text.startswith("[") or (file.suffix == ".json" and not _is_object(lines[0])):
        try:
            whole = parse_json(text)
        except ValueError as error:
            raise CorpusError(f"{source.place}, {file.name}: is not JSON ({error}). Copy the file again.") from error
        found = _squad(whole["data"]) if isinstance(whole, dict) and isinstance(whole.get("data"), list) else whole
        rows = found if isinstance(found, list) else [found]
        return _objects(source, file, list(enumerate(rows[:limit], start=1)), "item")
    values: list[tuple[int, Any]] = []
    problems = Problems(source, file)
    for number, line in enumerate(lines, start=1):
        if limit is not None and len(values) >= limit:
            break
        if line.strip():
            try:
                values.append((number, parse_json(line.lstrip("\ufeff"))))
            except ValueError as error:
                problems.add(number, f"is not JSON ({error}). Copy the file again.")
    problems.stop()
    if len(values) == 1 and isinstance(values[0][1], dict) and isinstance(values[0][1].get("data"), list):
        values = list(enumerate(_squad(values[0][1]["data"])[:limit], start=1))
    return _objects(source, file, values, "line")


def _is_object(line: str) -> bool:
    try:
        return isinstance(parse_json(line.lstrip("\ufeff")), dict)
    except ValueError:
        return False


def _objects(source: Source, file: Path, values: list[tuple[int, Any]], unit: str) -> list[dict[str, Any]]:
    problems = Problems(source, file)
    for number, value in values:
        if not isinstance(value, dict):
            problems.add(number, "is not an object in { }. Correct it.", unit=unit)
    problems.stop()
    return [value for _, value in values]


def _squad(data: list[Any]) -> list[Any]:
    """Flatten the articles and paragraphs of SQuAD's JSON (arXiv 1606.05250) to a row per question, as the hub has
    them; other lists are returned as they are."""
    if not all(isinstance(article, dict) and isinstance(article.get("paragraphs"), list) for article in data):
        return data
    rows = []
    for article in data:
        for paragraph in article["paragraphs"]:
            for question in paragraph.get("qas", []):
                answers = question.get("answers", [])
                rows.append(
                    {
                        "id": question.get("id"),
                        "context": paragraph.get("context"),
                        "question": question.get("question"),
                        "answers": {key: [one.get(key) for one in answers] for key in ("text", "answer_start")},
                    }
                )
    return rows
