"""A parallel corpus: items that exist in several languages under one id.

The id is the point. It survives from the draw of a mixture to the last score, because items of a parallel test set are
the same problem in every language and every interval in crosslift is paired and clustered by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from crosslift.errors import CorpusError

MESSAGE = pl.Struct({"role": pl.String, "content": pl.String})
ROWS = pl.Schema(
    {
        "item_id": pl.String,
        "language": pl.String,
        "messages": pl.List(MESSAGE),  # conversation; the last message is the assistant's wherever SFT is possible
        "answer": pl.String,  # gold, as the task's scorer reads it: "42", "[GetWeather(city='Rome')]"
        "cluster": pl.String,  # dialogue or document that makes items dependent; item_id where there is none
        "origin": pl.String,  # "human", "mt:<system>", "grammar"
    }
)


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a corpus comes from, as the study file says it; what a reader is given."""

    name: str
    reader: str
    task: str
    languages: tuple[str, ...]
    split: str = "train"
    path: Path | None = None
    """File or folder; None for readers that generate (pocket)."""
    revision: str | None = None
    max_items: int | None = None
    """The first n items in the corpus's own order."""
    incomplete: str = "error"
    """"error" | "drop": what to do with items that lack one of the languages."""
    options: dict[str, Any] = field(default_factory=dict)
    """Further keys that the reader documents."""


@dataclass(frozen=True, kw_only=True)
class ParallelCorpus:
    """Rows in item order, then in the order of `languages`: row = item index * len(languages) + language index.

    `build` is the constructor that checks; the plain one trusts.
    """

    name: str
    task: str
    licence: str
    revision: str
    """What was read: a commit, a content hash, a generator version."""
    languages: tuple[str, ...]
    rows: pl.DataFrame
    notes: tuple[str, ...] = ()
    """What the reader had to leave out and why, for plan and report."""

    @classmethod
    def build(
        cls,
        source: Source,
        rows: pl.DataFrame,
        *,
        licence: str,
        revision: str,
        notes: Sequence[str] = (),
    ) -> ParallelCorpus:
        """Check that the rows are parallel and bring them into canonical order.

        Items keep the order of their first appearance. Rows in languages that were not asked for are ignored.

        Raises:
            CorpusError: duplicate (item_id, language), a language without any row, items lacking a language while
                `source.incomplete` is "error", empty text, or no item at all. All problems are reported at once.
        """
        raise NotImplementedError

    @property
    def num_items(self) -> int:
        return self.rows.height // len(self.languages)

    @property
    def item_ids(self) -> pl.Series:
        """Shape (num_items,), in corpus order."""
        return self.rows["item_id"].gather_every(len(self.languages))

    def row(self, item: int, language: str) -> int:
        """Row index of an item (by position) in a language."""
        return item * len(self.languages) + self.languages.index(language)

    def fingerprint(self) -> str:
        """Hash of name, task, languages and all rows."""
        raise NotImplementedError


__all__ = ["MESSAGE", "ROWS", "CorpusError", "ParallelCorpus", "Source"]
