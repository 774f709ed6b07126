"""Parallel corpora in files of one's own: what the readers `jsonl` and `parquet` share.

A file holds one row per item and language with the columns

    item_id      text or whole number, equal in all languages
    language     a tag; may be left out in a folder of files named after languages
    messages     list of {role, content}; or, for a single turn, `prompt` and `completion` as text
    answer       the gold answer, as the task's scorer reads it
    cluster      optional: dialogue or document that makes items dependent
    origin       optional: "human", "mt:<system>"

Unknown columns are refused rather than ignored: `clusters` for `cluster` would quietly make every interval too narrow.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from crosslift.corpora.corpus import MESSAGE, ROWS, CorpusError, ParallelCorpus, Source
from crosslift.errors import did_you_mean, visible
from crosslift.fingerprint import fingerprint, fingerprint_file

OPTIONS: dict[str, type] = {"licence": str}
"""licence: of the texts, as the manifest of each mixture repeats it."""

COLUMNS = ("item_id", "language", "messages", "prompt", "completion", "answer", "cluster", "origin")
REQUIRED = ("item_id", "answer")


def files_of(source: Source, suffix: str) -> list[tuple[Path, str | None]]:
    """The files to read; each with its language where the file name says it.

    Raises:
        CorpusError: there is no such file, or a folder lacks the file of a language.
    """
    path = source.path
    if path is None:
        raise CorpusError(f"{source.place}: reader '{source.reader}' reads a file. Say which: path = \"...\".")
    if path.is_file():
        return [(path, None)]
    if not path.is_dir():
        raise CorpusError(f"{source.place}: {path} does not exist. Correct the path.")
    files = [(path / f"{tag}{suffix}", tag) for tag in source.languages]
    missing = [file.name for file, _ in files if not file.is_file()]
    if missing:
        raise CorpusError(
            f"{source.place}: the folder lacks {', '.join(missing)}. A folder holds one file per language; add "
            "them, or ask for fewer languages."
        )
    return [(file, tag) for file, tag in files]


def unknown_column(name: str) -> str:
    """The message for a column that nobody reads."""
    shown = visible(name, 80)
    return f"unknown column '{shown}'.{did_you_mean(name, COLUMNS)} Known: {', '.join(COLUMNS)}. Rename or remove it."


def to_rows(frame: pl.DataFrame, language: str | None) -> pl.DataFrame:
    """Columns as in ROWS, whichever of the forms the file has. The columns have been checked."""
    single = pl.concat_list(
        pl.struct(role=pl.lit("user"), content=pl.col("prompt")),
        pl.struct(role=pl.lit("assistant"), content=pl.col("completion")),
    )
    blank = {name: pl.lit(None, dtype=ROWS[name]) for name in ROWS if name not in frame.columns}
    if "language" in blank:
        blank["language"] = pl.lit(language, dtype=pl.String)
    elif language is not None:
        blank["language"] = pl.col("language").fill_null(language)
    if "messages" in blank:
        blank["messages"] = single
    elif "prompt" in frame.columns:
        blank["messages"] = pl.coalesce("messages", pl.when(pl.col("prompt").is_not_null()).then(single))
    return frame.with_columns(**blank).select(pl.col(name).cast(kind) for name, kind in ROWS.items())


def corpus_of(source: Source, rows: list[pl.DataFrame], files: list[Path]) -> ParallelCorpus:
    """Build the corpus; its revision is the content of its files.

    Raises:
        CorpusError: the rows are not parallel, or the files are not the ones that the study asks for.
    """
    revision = f"sha256:{fingerprint([fingerprint_file(file) for file in files])}"
    if source.revision not in (None, revision):
        raise CorpusError(
            f"{source.place}: its content is {revision} and the study asks for {source.revision}. Bring the old file "
            "back, or change revision."
        )
    licence = str(source.options.get("licence", "unknown"))
    return ParallelCorpus.build(source, pl.concat(rows), licence=licence, revision=revision)


__all__ = ["COLUMNS", "MESSAGE", "OPTIONS", "REQUIRED", "ROWS", "corpus_of", "files_of", "to_rows", "unknown_column"]
