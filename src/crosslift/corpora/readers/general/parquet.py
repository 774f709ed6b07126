"""Reader of Parquet files with the columns of `tabular`."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from crosslift.corpora.corpus import ROWS, CorpusError, ParallelCorpus, Source
from crosslift.corpora.tabular import COLUMNS, OPTIONS, REQUIRED, corpus_of, files_of, to_rows, unknown_column

NEEDS_PATH = True

__all__ = ["NEEDS_PATH", "OPTIONS", "read"]


def read(source: Source) -> ParallelCorpus:
    """Read one file, or a folder with one file per language (`sw.parquet`).

    Raises:
        CorpusError: Unreadable, truncated or empty files, missing or unknown columns, columns of a wrong type, or rows
            that are not parallel.
    """
    files = files_of(source, ".parquet")
    problems: list[str] = []
    rows = [_read(source, file, language, problems) for file, language in files]
    if problems:
        raise CorpusError("\n".join(problems))
    return corpus_of(source, rows, [file for file, _ in files])


def _read(source: Source, file: Path, language: str | None, problems: list[str]) -> pl.DataFrame:
    place = f"corpora.{source.name} ({file.name})"
    empty = pl.DataFrame(schema=ROWS)
    try:
        frame = pl.read_parquet(file, memory_map=False)
    # Corruption inside a file raises a PanicException, which is not a subclass of PolarsError.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = str(error).splitlines()[0]
        problems.append(f"{place}: is not a complete Parquet file ({reason}). Copy or write it again.")
        return empty
    if frame.is_empty():
        problems.append(f"{place}: is empty. Fill it, or correct the path.")
        return empty
    found = [f"{place}: {unknown_column(name)}" for name in frame.columns if name not in COLUMNS]
    needed = [*REQUIRED, *(["language"] if language is None else [])]
    needed += ["messages"] if not {"prompt", "completion"} & set(frame.columns) else ["prompt", "completion"]
    found += [f"{place}: column '{name}' is missing. Add it." for name in needed if name not in frame.columns]
    for name, kind in frame.schema.items():
        if name == "messages":
            frame, fits = _messages(frame, kind)
        else:
            fits = (
                kind == pl.String or (kind.is_integer() and name in ("item_id", "answer", "cluster")) or kind == pl.Null
            )
        if name in COLUMNS and not fits:
            wanted = "a list of {role, content}" if name == "messages" else "text"
            found.append(f"{place}: column '{name}' is {kind} and must be {wanted}. Convert it.")
    problems += found
    return empty if found else to_rows(frame, language)


def _messages(frame: pl.DataFrame, kind: pl.DataType) -> tuple[pl.DataFrame, bool]:
    """Reduce messages to role and content. Also return whether the column has both as strings."""
    inner = kind.inner if isinstance(kind, pl.List) else None
    fields = dict(inner) if isinstance(inner, pl.Struct) else {}
    if not all(fields.get(name) == pl.String for name in ("role", "content")):
        return frame, False
    element = pl.element().struct
    pair = pl.col("messages").list.eval(pl.struct(element.field("role"), element.field("content")))
    return frame.with_columns(pair), True
