"""Reviews of corpora that were translated or completed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from crosslift.api.failures import user_errors

if TYPE_CHECKING:
    import polars as pl


@user_errors()
def review(folder: str | Path, *, num_rows: int = 50, seed: int = 0, languages: Sequence[str] = ()) -> list[Path]:
    """Write review sheets of a corpus that was translated or completed: CSV to fill in, HTML to read.

    Args:
        folder: output folder of `translate` or `complete`.
        num_rows: rows per language; all if there are fewer.
        seed: seed of the draw.
        languages: language tags; default: all that were made.

    Returns:
        The CSV files, one per language.

    Raises:
        StudyError: a language was not made.
        CorpusError: the folder has no such corpus, or it cannot be read.
        StoreError: a sheet exists already.
    """
    from crosslift.corpora.made import made_corpus
    from crosslift.corpora.reviews.sheet import write_sheets
    from crosslift.languages.tags import resolve_all
    from crosslift.system.leases import waiting_lease

    corpus = made_corpus(Path(folder))
    with waiting_lease(corpus.folder):
        return write_sheets(corpus, num_rows=num_rows, seed=seed, languages=tuple(resolve_all(languages).values()))


@user_errors()
def read_review(folder: str | Path, sheets: Sequence[str | Path] = ()) -> pl.DataFrame:
    """Read filled review sheets back, and count their verdicts into the manifest of the corpus.

    Args:
        folder: output folder of `translate` or `complete`.
        sheets: filled CSV files; default: those in the folder's `review`.

    Returns:
        One row per language: language, drawn, accepted, rejected, unread, outdated, and share, low and high, the share
        accepted of those with a verdict with its 95 % interval (Wilson); null without verdicts.

    Raises:
        CorpusError: a sheet cannot be read, or does not fit the corpus; nothing is changed then.
    """
    from crosslift.corpora.made import made_corpus
    from crosslift.corpora.reviews.sheet import FOLDER
    from crosslift.corpora.reviews.verdicts import read_verdicts
    from crosslift.system.leases import waiting_lease
    from crosslift.transfer.estimates.wilson import with_shares

    corpus = made_corpus(Path(folder))
    files = [Path(sheet) for sheet in sheets] or sorted((corpus.folder / FOLDER).glob("*.csv"))
    with waiting_lease(corpus.folder):
        counts = read_verdicts(corpus, files)
    return with_shares(counts)
