"""Verdicts of reviewers, read back from sheets and counted into the manifest of the corpus.

Every verdict is kept in `review/verdicts.json`, by the hash of its row. When the corpus is made again, verdicts on rows
that are still there stay, and the others are counted as outdated.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from crosslift.corpora.corpus import CorpusError
from crosslift.corpora.made import MANIFEST, MadeCorpus, made_corpus, manifest_beside
from crosslift.corpora.reviews.sheet import COLUMNS, DRAWN, FOLDER, row_key
from crosslift.errors import visible
from crosslift.system.files import read_json, write_json

VERDICTS = "verdicts.json"
WORDS = {
    **dict.fromkeys(("accept", "accepted", "a", "yes", "y", "1"), "accepted"),
    **dict.fromkeys(("reject", "rejected", "r", "no", "n", "0"), "rejected"),
}
"""What reviewers may write, in any case -> verdict."""
COUNTS = pl.Schema(
    {
        "language": pl.String,
        "drawn": pl.Int64,
        "accepted": pl.Int64,
        "rejected": pl.Int64,
        "unread": pl.Int64,  # drawn and without a verdict
        "outdated": pl.Int64,  # drawn, and no longer in the corpus
    }
)
MAX_SHEET = 64 * 2**20
"""Bytes."""
MAX_COUNT = 10**9
MAX_SHOWN = 5
"""Problems shown per sheet."""


def read_verdicts(corpus: MadeCorpus, sheets: Iterable[Path]) -> pl.DataFrame:
    """Read filled sheets, and count all verdicts into the manifest.

    Args:
        corpus: the corpus.
        sheets: CSV files, as they were written or as a spreadsheet saved them (separated by commas, semicolons or
            tabs).

    Returns:
        One row per language with a sheet, columns as in `COUNTS`.

    Raises:
        CorpusError: a sheet cannot be read, has a row that was not drawn or has changed, or another word than accept
            or reject. Nothing is changed then.
    """
    drawn = _drawn(corpus.folder)
    known = {key for rows in drawn.values() for key in rows}
    problems: list[str] = []
    found: dict[str, str] = {}
    for sheet in sheets:
        found |= _read_sheet(sheet, known, problems)
    if not known:
        problems.append(f"{corpus.folder}: no rows were drawn. Write sheets first: crosslift review DIR")
    if problems:
        raise CorpusError("\n".join(problems))
    file = corpus.folder / FOLDER / VERDICTS
    kept: dict[str, str] = (read_json(file) or {}) | found
    write_json(file, {key: verdict for key, verdict in kept.items() if verdict})
    write_json(corpus.folder / MANIFEST, with_review(corpus, dict(corpus.manifest)))
    return review_counts(read_json(corpus.folder / MANIFEST))


def keep_review(folder: Path) -> None:
    """Count the verdicts again after the corpus of a folder was made again. Without sheets, nothing is changed.

    Raises:
        CorpusError: the folder has no such corpus.
    """
    if (folder / FOLDER / DRAWN).is_file():
        corpus = made_corpus(folder)
        write_json(folder / MANIFEST, with_review(corpus, dict(corpus.manifest)))


def with_review(corpus: MadeCorpus, manifest: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest with the counts of the verdicts, and without those if there are no sheets.

    Args:
        corpus: the corpus, whose rows are as they are to be counted.
        manifest: its manifest.
    """
    drawn = _drawn(corpus.folder)
    verdicts: dict[str, str] = read_json(corpus.folder / FOLDER / VERDICTS) or {}
    counts: dict[str, dict[str, int]] = {}
    for tag, keys in drawn.items():
        there = {row_key(row) for row in corpus.rows(tag).iter_rows(named=True)} if tag in corpus.languages else set()
        given = Counter(verdicts.get(key, "unread") if key in there else "outdated" for key in keys)
        counts[tag] = {"drawn": len(keys)} | {
            name: given[name] for name in ("accepted", "rejected", "unread", "outdated")
        }
    rest = {key: value for key, value in manifest.items() if key != "review"}
    return rest | ({"review": counts} if counts else {})


def review_counts(manifest: Mapping[str, Any]) -> pl.DataFrame:
    """The counts of a manifest, columns as in `COUNTS`; empty without a review or if it is no such table."""
    found = manifest.get("review")
    rows = [
        {"language": tag} | {name: counts.get(name, 0) for name in COUNTS.names()[1:]}
        for tag, counts in (found.items() if isinstance(found, dict) else ())
        if isinstance(counts, dict) and all(_is_count(number) for number in counts.values())
    ]
    return pl.DataFrame(rows, schema=COUNTS)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_COUNT


def reviews_beside(path: Path | None) -> pl.DataFrame:
    """The counts of the corpus at a path of a study file, columns as in `COUNTS`; empty if it was not reviewed."""
    return review_counts(manifest_beside(path))


def _drawn(folder: Path) -> dict[str, list[str]]:
    found = read_json(folder / FOLDER / DRAWN) or {"languages": {}}
    return {tag: one["rows"] for tag, one in found["languages"].items()}


def _read_sheet(sheet: Path, known: set[str], problems: list[str]) -> dict[str, str]:
    """Row -> verdict, "" for rows without one, so that a verdict can be taken back."""
    try:
        if sheet.stat().st_size > MAX_SHEET:
            raise OSError(f"it has more than {MAX_SHEET:,} bytes")
        text = sheet.read_bytes().decode("utf-8-sig")
    except (OSError, ValueError) as error:
        reason = (
            "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else getattr(error, "strerror", None) or error
        )
        problems.append(f"{sheet}: cannot be read: {reason}. Save the sheet as CSV in UTF-8.")
        return {}
    head = text.partition("\n")[0]
    mark = max(",;\t", key=head.count)
    rows = list(csv.DictReader(io.StringIO(text), delimiter=mark))
    if not rows or not {"row", "verdict"} <= set(rows[0]):
        problems.append(
            f"{sheet}: has no columns row and verdict. Fill in the sheet that crosslift review wrote "
            f"({', '.join(COLUMNS)})."
        )
        return {}
    found: dict[str, str] = {}
    wrong: list[str] = []
    for number, row in enumerate(rows, start=2):
        key, said = (row["row"] or "").strip(), (row["verdict"] or "").strip().casefold()
        if not key and not said:
            continue
        if key not in known:
            wrong.append(f"{sheet}, line {number}: '{visible(key, 40)}' is no row that was drawn from this corpus.")
        elif said and said not in WORDS:
            wrong.append(f"{sheet}, row {key}: the verdict '{visible(said, 40)}' must be accept or reject. Change it.")
        else:
            found[key] = WORDS.get(said, "")
    problems += wrong[:MAX_SHOWN]
    if len(wrong) > MAX_SHOWN:
        problems.append(f"{sheet}: {len(wrong) - MAX_SHOWN} more rows are wrong.")
    return found
