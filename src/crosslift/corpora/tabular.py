"""Common code of the readers `jsonl` and `parquet`, which read user-provided parallel corpora.

A file contains one row per item and language, with the columns

    item_id      text or whole number, equal in all languages
    language     a language tag; optional in a folder with one file per language
    messages     list of {role, content}; or, for a single turn, `prompt` and `completion` as text
    answer       the gold answer, in the format of the task's scorer
    cluster      optional: dialogue or document shared by dependent items
    origin       optional: "human", "mt:<system>"

Unknown columns are errors, because ignoring the misspelling `clusters` would make every interval too narrow.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from crosslift.corpora.corpus import MESSAGE, ROWS, CorpusError, ParallelCorpus, Source
from crosslift.corpora.made import manifest_beside
from crosslift.errors import did_you_mean, visible
from crosslift.fingerprint import fingerprint, fingerprint_file

OPTIONS: dict[str, type] = {"licence": str}
"""licence: licence of the texts, which is copied into the manifest of each mixture; default: the one in the manifest of
a corpus that crosslift translate or complete wrote."""

COLUMNS = ("item_id", "language", "messages", "prompt", "completion", "answer", "cluster", "origin")
REQUIRED = ("item_id", "answer")


def files_of(source: Source, suffix: str) -> list[tuple[Path, str | None]]:
    """Return the files of a corpus.

    Args:
        source: Specification of the corpus.
        suffix: Suffix of the files in a folder, such as ".jsonl".

    Returns:
        Pairs of file and language; the language is None for a single file.

    Raises:
        CorpusError: The path is missing or does not exist, or a folder lacks the file of a language.
    """
    path = source.path
    if path is None:
        raise CorpusError(f"{source.place}: reader '{source.reader}' reads a file. Add path = \"...\".")
    if path.is_file():
        return [(path, None)]
    if not path.is_dir():
        raise CorpusError(f"{source.place}: {path} does not exist. Correct the path.")
    files = [(path / f"{tag}{suffix}", tag) for tag in source.languages]
    missing = [file.name for file, _ in files if not file.is_file()]
    if missing:
        raise CorpusError(
            f"{source.place}: the folder lacks {', '.join(missing)}. A folder contains one file per language; add "
            "them, or request fewer languages."
        )
    return [(file, tag) for file, tag in files]


def unknown_column(name: str) -> str:
    """Return the message for an unknown column."""
    shown = visible(name, 80)
    return f"unknown column '{shown}'.{did_you_mean(name, COLUMNS)} Known: {', '.join(COLUMNS)}. Rename or remove it."


def to_rows(frame: pl.DataFrame, language: str | None) -> pl.DataFrame:
    """Convert validated columns to those of `ROWS`.

    Args:
        frame: Columns of the file, with `messages` or with `prompt` and `completion`.
        language: Language of rows without one, or None.
    """
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
    """Build a corpus from files. Its revision is a hash of their content.

    Args:
        source: Specification of the corpus.
        rows: One data frame per file, with columns as in `ROWS`.
        files: The files.

    Returns:
        The validated corpus.

    Raises:
        CorpusError: The rows are not parallel, or the revision differs from the one in the study file.
    """
    revision = f"sha256:{fingerprint([fingerprint_file(file) for file in files])}"
    if source.revision not in (None, revision):
        raise CorpusError(
            f"{source.place}: its content is {revision} but the study file requires {source.revision}. Restore the "
            "old file, or change revision."
        )
    made = manifest_beside(source.path).get("source", {})  # of a corpus that crosslift translate or complete wrote
    licence = str(source.options.get("licence") or made.get("licence") or "unknown")
    return ParallelCorpus.build(source, pl.concat(rows), licence=licence, revision=revision)


__all__ = ["COLUMNS", "MESSAGE", "OPTIONS", "REQUIRED", "ROWS", "corpus_of", "files_of", "to_rows", "unknown_column"]
