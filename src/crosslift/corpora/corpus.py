"""Parallel corpora: items that exist in several languages under one id.

The item id is preserved from the draw of a mixture to the final scores. Items of a parallel test set are the same
problem in every language, so all intervals are paired and clustered by item id.
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
        "messages": pl.List(MESSAGE),  # conversation; ends with an assistant message if the row can be trained on
        "answer": pl.String(),  # gold answer in the format of the task's scorer: "42", "[GetWeather(city='Rome')]"
        "cluster": pl.String(),  # dialogue or document shared by dependent items; the item_id if there is none
        "origin": pl.String(),  # "human", "mt:<system>", "model:<name>", "grammar"
    }
)


@dataclass(frozen=True, kw_only=True)
class Source:
    """Specification of a corpus in the study file, as passed to its reader."""

    name: str
    reader: str
    task: str
    languages: tuple[str, ...]
    split: str = "train"
    path: Path | None = None
    """File or folder; None for readers that generate their items (pocket) or read from the hub."""
    revision: str | None = None
    max_items: int | None = None
    """Number of items to keep, of those that come first in `order`; None keeps all."""
    order: str = "file"
    """"file": items come in the order of the file; "random": in a random order that depends on `data_seed` and on the
    ids of the items only, so that corpora with the same ids keep the same items, and fewer items are among more."""
    data_seed: int = 0
    """The study's seed of data, for order "random"."""
    incomplete: str = "error"
    """"error" | "drop": handling of items that lack one of the languages."""
    options: dict[str, Any] = field(default_factory=dict)
    """Options that the reader declares in its OPTIONS."""
    checks: dict[str, str] = field(default_factory=dict)
    """Check -> policy for its findings, if it differs from "report" (see `corpora.quality`)."""

    @property
    def place(self) -> str:
        """Name of the corpus in messages, such as `corpora.math-train (train.jsonl)`."""
        return f"corpora.{self.name}" + (f" ({self.path.name})" if self.path else "")


def taken_in_order(source: Source, ids: pl.Series) -> pl.Series:
    """Sort the ids of items by the order in which a corpus takes them.

    Args:
        source: Specification of the corpus.
        ids: Ids in the order of the file, without duplicates.
    """
    if source.order == "file":
        return ids
    keys = [hashlib.blake2b(f"{source.data_seed}\x1f{one}".encode(), digest_size=8).digest() for one in ids]
    return ids.gather(sorted(range(len(keys)), key=keys.__getitem__))


def limited(source: Source, rows: pl.DataFrame) -> pl.DataFrame:
    """Keep the rows of the first `max_items` items in the corpus's order; they stay in the order of the file.

    Args:
        source: Specification of the corpus.
        rows: Complete rows in canonical order, columns as in `ROWS`.
    """
    if source.max_items is None or source.order == "file":
        return rows if source.max_items is None else rows.head(source.max_items * len(source.languages))
    ids = rows["item_id"].gather_every(len(source.languages))
    return rows.filter(pl.col("item_id").is_in(taken_in_order(source, ids).head(source.max_items).implode()))


@dataclass(frozen=True, kw_only=True)
class ParallelCorpus:
    """A parallel corpus. Row = item index * len(languages) + language index.

    `build` validates the rows; the constructor does not.
    """

    name: str
    task: str
    licence: str
    revision: str
    """Revision of the data: a commit, a content hash or a generator version."""
    languages: tuple[str, ...]
    rows: pl.DataFrame
    notes: tuple[str, ...] = ()
    """Notes for plan and report, such as which items the reader omitted and why."""

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
        """Validate rows and arrange them in canonical order.

        Items keep the order of their first occurrence. Rows in other languages than `source.languages` are ignored.
        `source.max_items` keeps the first complete items in `source.order`. Missing values of `cluster` and `origin`
        are replaced by the item_id and "unknown". All operations are vectorised: a million items in ten languages take
        seconds.

        Args:
            source: Specification of the corpus.
            rows: Columns as in `ROWS`, rows in any order.
            licence: Licence of the texts.
            revision: Revision of the data.
            notes: Notes of the reader.

        Returns:
            The corpus, with `num_items * len(languages)` rows.

        Raises:
            CorpusError: Duplicate (item_id, language) pairs, a language without rows, items that lack a language while
                `source.incomplete` is "error", invalid order of roles, empty messages or answers, or no items. All
                problems are reported at once.
        """
        place = source.place
        wanted = list(source.languages)
        rows = rows.select(ROWS.names()).cast(ROWS).with_columns(pl.col("language").fill_null(""))
        num_untagged = rows.filter(pl.col("language") == "").height
        rows = rows.filter(pl.col("language").is_in(wanted))
        if rows.is_empty():
            raise CorpusError(f"{place}: has no item in {', '.join(wanted)}. Check path, split and languages.")
        present = set(rows["language"].unique())
        problems = [
            f"{place}: has no row in '{tag}'. Remove it from languages, or add the rows."
            for tag in wanted
            if tag not in present
        ]
        if num_untagged:
            problems.append(f"{place}: {_count(num_untagged, 'row has', 'rows have')} no language. Correct the data.")
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
                "remove the duplicates or give them other ids."
            )
        lacking = rows.select("item_id", "language").unique().group_by("item_id", maintain_order=True).len()
        lacking = lacking.filter(pl.col("len") < len(present))
        kept_notes = list(notes)
        if source.incomplete == "drop":
            rows = rows.filter(~pl.col("item_id").is_in(lacking["item_id"].implode()))
            if not lacking.is_empty():
                kept_notes.append(
                    f"{lacking.height} of {len(ids)} items were dropped because they lack one of {', '.join(wanted)}."
                )
            if rows.is_empty() and not problems:
                problems.append(f"{place}: no item exists in all of {', '.join(wanted)}. Request fewer languages.")
        elif not lacking.is_empty():
            problems.append(
                f"{place}: {lacking.height} of {_count(len(ids), 'item lacks', 'items lack')} a language: "
                f"{_some(_holes(rows, lacking['item_id'], wanted))}. Complete them, request fewer languages, or set "
                'incomplete = "drop".'
            )
        if problems:
            raise CorpusError("\n".join(problems))
        if not rows["cell"].is_sorted():
            rows = rows.sort("cell")
        rows = rows.drop("cell")
        rows = limited(source, rows)
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
        """Number of items; each has one row per language."""
        return self.rows.height // len(self.languages)

    @property
    def item_ids(self) -> pl.Series:
        """Item ids in corpus order, of length num_items."""
        return self.rows["item_id"].gather_every(len(self.languages))

    def row(self, item: int, language: str) -> int:
        """Return the index of a row.

        Args:
            item: Position of the item in the corpus.
            language: Language tag.
        """
        return item * len(self.languages) + self.languages.index(language)

    def fingerprint(self) -> str:
        """Return a fingerprint: the first 16 hexadecimal digits of SHA-256 over name, task, languages and rows.

        Rows are serialised as JSON lines, because the memory layout of data frames may change between releases of
        polars.
        """
        digest = hashlib.sha256("\x1f".join([self.name, self.task, *self.languages, ""]).encode())
        for part in self.rows.iter_slices(100_000):
            digest.update(part.write_ndjson().encode())
        return digest.hexdigest()[:16]


MAX_MESSAGE = 4_000_000
"""Bytes per message, about a million tokens. Tokenising longer messages takes minutes and gigabytes."""
MAX_ID = 1_000
"""Bytes per item id, which is part of every table."""
ROLES = r"^(system )?user( assistant user)*( assistant)?$"
ROLES_TRAINED = r"^(system )?user( assistant user)* assistant$"


def _text_problems(place: str, rows: pl.DataFrame, *, trained_on: bool) -> list[str]:
    """Return messages about invalid roles, empty or overlong texts and missing ids, with the first affected items."""
    roles = pl.col("messages").list.eval(pl.element().struct.field("role").fill_null("?")).list.join(" ")
    shortest = pl.col("messages").list.eval(
        pl.element().struct.field("content").fill_null("").str.strip_chars().str.len_bytes()
    )
    longest = pl.col("messages").list.eval(pl.element().struct.field("content").str.len_bytes()).list.max()
    checks = {
        f"a message of more than {MAX_MESSAGE:,} bytes": longest > MAX_MESSAGE,
        f"an answer of more than {MAX_MESSAGE:,} bytes": pl.col("answer").str.len_bytes() > MAX_MESSAGE,
        f"an item_id of more than {MAX_ID:,} bytes": pl.col("item_id").str.len_bytes() > MAX_ID,
        "no item_id": pl.col("item_id").fill_null("") == "",
        "roles out of order (an optional system message, then user and assistant alternate"
        + (", and the last message is the assistant's)" if trained_on else ")"): ~roles.fill_null("").str.contains(
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
    """Return the position of each value in `known`, as Int64."""
    table = pl.DataFrame({"value": pl.Series(known, dtype=pl.String)}).with_row_index("position")
    joined = values.to_frame("value").join(table, on="value", how="left", maintain_order="left")
    return joined["position"].cast(pl.Int64)


def _names(rows: pl.DataFrame) -> list[str]:
    found = rows.head(4).select("item_id", "language").iter_rows()
    return [f"'{visible(item or '', 80)}' in '{tag}'" for item, tag in found]


def _holes(rows: pl.DataFrame, items: pl.Series, languages: Sequence[str]) -> list[str]:
    """Describe the missing languages of the first items, such as `'item-7' (sw, te)`."""
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
