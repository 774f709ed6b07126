"""A parallel corpus: items that exist in several languages under one id.

The id is the point. It survives from the draw of a mixture to the last score, because items of a parallel test set are
the same problem in every language and every interval in crosslift is paired and clustered by it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from crosslift.errors import CorpusError, visible

MESSAGE = pl.Struct({"role": pl.String(), "content": pl.String()})
ROWS = pl.Schema(
    {
        "item_id": pl.String(),
        "language": pl.String(),
        "messages": pl.List(MESSAGE),  # conversation; the last message is the assistant's wherever SFT is possible
        "answer": pl.String(),  # gold, as the task's scorer reads it: "42", "[GetWeather(city='Rome')]"
        "cluster": pl.String(),  # dialogue or document that makes items dependent; item_id where there is none
        "origin": pl.String(),  # "human", "mt:<system>", "grammar"
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
    """Further keys that the reader documents in its OPTIONS."""
    checks: dict[str, str] = field(default_factory=dict)
    """Check -> what to do with its findings, where that is not to report them (see `corpora.checking`)."""

    @property
    def place(self) -> str:
        """How messages name the corpus: `corpora.math-train (train.jsonl)`."""
        return f"corpora.{self.name}" + (f" ({self.path.name})" if self.path else "")


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

        Items keep the order of their first appearance. Rows in languages that were not asked for are ignored. With
        `source.max_items` the first complete items are kept. Missing `cluster` and `origin` become the item_id and
        "unknown". Nothing loops over rows: a million items in ten languages take seconds.

        Args:
            rows: columns as in ROWS, in any order.

        Raises:
            CorpusError: duplicate (item_id, language), a language without any row, items lacking a language while
                `source.incomplete` is "error", roles out of order, empty text, no answer, or no item at all. All
                problems are reported at once.
        """
        place = source.place
        wanted = list(source.languages)
        rows = rows.select(ROWS.names()).cast(ROWS).with_columns(pl.col("language").fill_null(""))
        nowhere = rows.filter(pl.col("language") == "").height
        rows = rows.filter(pl.col("language").is_in(wanted))
        if rows.is_empty():
            raise CorpusError(f"{place}: has no item in {', '.join(wanted)}. Check path, split and languages.")
        present = set(rows["language"].unique())
        problems = [
            f"{place}: has no row in '{tag}'. Take it out of languages, or add the rows."
            for tag in wanted
            if tag not in present
        ]
        if nowhere:
            problems.append(f"{place}: {_count(nowhere, 'row has', 'rows have')} no language. Correct the data.")
        problems += _text_problems(place, rows, trained_on=source.split == "train")
        ids = rows["item_id"].unique(maintain_order=True)
        rows = rows.with_columns(
            pl.col("cluster").fill_null(pl.col("item_id")),
            pl.col("origin").fill_null("unknown"),
            cell=_position(rows["item_id"], ids) * len(wanted) + _position(rows["language"], wanted),
        )
        double = rows.filter(pl.col("cell").is_duplicated()).unique("cell", maintain_order=True)
        if not double.is_empty():
            problems.append(
                f"{place}: {_some(_names(double))}: more than one row. Every item has one row per language: "
                "remove the others or give them ids of their own."
            )
        lacking = rows.select("item_id", "language").unique().group_by("item_id", maintain_order=True).len()
        lacking = lacking.filter(pl.col("len") < len(present))
        kept_notes = list(notes)
        if source.incomplete == "drop":
            rows = rows.filter(~pl.col("item_id").is_in(lacking["item_id"].implode()))
            if not lacking.is_empty():
                kept_notes.append(
                    f"{lacking.height} of {len(ids)} items were left out because they lack one of {', '.join(wanted)}."
                )
            if rows.is_empty() and not problems:
                problems.append(f"{place}: no item exists in all of {', '.join(wanted)}. Ask for fewer languages.")
        elif not lacking.is_empty():
            problems.append(
                f"{place}: {lacking.height} of {_count(len(ids), 'item lacks', 'items lack')} a language: "
                f"{_some(_holes(rows, lacking['item_id'], wanted))}. Complete them, ask for fewer languages, or say "
                'incomplete = "drop".'
            )
        if problems:
            raise CorpusError("\n".join(problems))
        if not rows["cell"].is_sorted():
            rows = rows.sort("cell")
        rows = rows.drop("cell")
        if source.max_items is not None:
            rows = rows.head(source.max_items * len(wanted))
        return cls(
            name=source.name,
            task=source.task,
            licence=licence,
            revision=revision,
            languages=source.languages,
            rows=rows.rechunk(),
            notes=tuple(kept_notes),
        )

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
        """Sixteen hexadecimal digits: SHA-256 of name, task, languages and all rows as JSON lines.

        JSON, because the layout of a frame in memory is free to change between releases of the library.
        """
        digest = hashlib.sha256("\x1f".join([self.name, self.task, *self.languages, ""]).encode())
        for part in self.rows.iter_slices(100_000):
            digest.update(part.write_ndjson().encode())
        return digest.hexdigest()[:16]


MAX_MESSAGE = 4_000_000
"""Bytes. A million tokens; longer ones take minutes and gigabytes to tokenise."""
MAX_ID = 1_000
"""Bytes of an item's id, which stands in every table."""
ROLES = r"^(system )?user( assistant user)*( assistant)?$"
ROLES_TRAINED = r"^(system )?user( assistant user)* assistant$"


def _text_problems(place: str, rows: pl.DataFrame, *, trained_on: bool) -> list[str]:
    """Roles out of order, empty messages, missing answers and ids; each with the first items that show it."""
    roles = pl.col("messages").list.eval(pl.element().struct.field("role").fill_null("?")).list.join(" ")
    shortest = pl.col("messages").list.eval(
        pl.element().struct.field("content").fill_null("").str.strip_chars().str.len_bytes()
    )
    longest = pl.col("messages").list.eval(pl.element().struct.field("content").str.len_bytes()).list.max()
    checks = {
        f"a message of more than {MAX_MESSAGE:,} bytes, which no model reads": longest > MAX_MESSAGE,
        f"an answer of more than {MAX_MESSAGE:,} bytes": pl.col("answer").str.len_bytes() > MAX_MESSAGE,
        f"an item_id of more than {MAX_ID:,} bytes": pl.col("item_id").str.len_bytes() > MAX_ID,
        "no item_id": pl.col("item_id").fill_null("") == "",
        "roles out of order (a system message may open; then user and assistant take turns"
        + (", and the assistant has the last word)" if trained_on else ")"): ~roles.fill_null("").str.contains(
            ROLES_TRAINED if trained_on else ROLES
        ),
        "an empty message": shortest.list.min().fill_null(0) == 0,
        "an empty answer": pl.col("answer").fill_null("").str.strip_chars() == "",
    }
    marks = rows.select("item_id", "language", **checks)
    return [
        f"{place}: {_count(marks.filter(what).height, 'row has', 'rows have')} {what}: "
        f"{_some(_names(marks.filter(what).head(4)))}. Correct the data."
        for what in checks
        if marks[what].any()
    ]


def _count(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"


def _position(values: pl.Series, known: Sequence[str] | pl.Series) -> pl.Series:
    """Position of each value in `known`, Int64."""
    table = pl.DataFrame({"value": pl.Series(known, dtype=pl.String)}).with_row_index("position")
    joined = values.to_frame("value").join(table, on="value", how="left", maintain_order="left")
    return joined["position"].cast(pl.Int64)


def _names(rows: pl.DataFrame) -> list[str]:
    found = rows.head(4).select("item_id", "language").iter_rows()
    return [f"'{visible(item or '', 80)}' in '{tag}'" for item, tag in found]


def _holes(rows: pl.DataFrame, items: pl.Series, languages: Sequence[str]) -> list[str]:
    """`"'item-7' (sw, te)"` for the first few items."""
    have = rows.filter(pl.col("item_id").is_in(items.head(4).implode()))
    sets = have.group_by("item_id", maintain_order=True).agg("language")
    return [
        f"'{visible(item or '', 80)}' ({', '.join(t for t in languages if t not in tags)})"
        for item, tags in sets.iter_rows()
    ]


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:3]) + (" and more" if len(names) > 3 else "")


__all__ = ["MESSAGE", "ROWS", "CorpusError", "ParallelCorpus", "Source"]
