"""What is wrong with a corpus, row by row: what its checks return and what people and policies read.

A check is a module of `corpora/checks/` with

    SEVERITY: "error" | "warning"      how bad a finding is: an error spoils results, a warning is to be looked at
    TITLE: str                         what it looks for, in a few words
    class Check:
        __init__(sample: Texts)        the first items, to learn what is usual
        look(texts: Texts) -> findings of one slice
        finish() -> findings that need the whole corpus

Corpora of ten million rows pass through in slices of items, and each check looks at a slice with expressions over whole
columns; what is exact and slow looks only at rows that those leave in doubt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import polars as pl

from crosslift.corpora.corpus import ParallelCorpus

Severity = Literal["error", "warning"]
Policy = Literal["report", "drop", "stop", "off"]
POLICIES: tuple[Policy, ...] = ("report", "drop", "stop", "off")

FOUND = pl.Schema({"item_id": pl.String(), "language": pl.String(), "reason": pl.String()})
FINDINGS = pl.Schema({"check": pl.String(), "severity": pl.String(), **FOUND})

MAX_CHECKED = 50_000
"""Characters of a text that checks look at: a row of 50 MB would otherwise take minutes. The check of lengths names
rows that are longer."""
ITEMS_PER_SLICE = 20_000
SAMPLE = 5_000


@dataclass(frozen=True, kw_only=True)
class Texts:
    """Consecutive items in wide form: one series of length `num_items` per language."""

    languages: tuple[str, ...]
    reference: str
    """The language that the others are compared with: English, or else the first."""
    item_ids: pl.Series
    prompts: dict[str, pl.Series]
    """The last user message."""
    completions: dict[str, pl.Series]
    """The assistant's last message; "" where there is none."""
    answers: dict[str, pl.Series]
    sizes: dict[str, pl.Series]
    """Bytes of the prompts, also of what was cut off."""
    long: pl.DataFrame
    """item_id, language, characters: rows with a text of which the checks look at the beginning only."""

    @property
    def others(self) -> tuple[str, ...]:
        return tuple(tag for tag in self.languages if tag != self.reference)

    def frame(self, **columns: pl.Series) -> pl.DataFrame:
        """The columns beside `item_id`."""
        return pl.DataFrame({"item_id": self.item_ids, **columns})


class Check(Protocol):
    def __init__(self, sample: Texts) -> None: ...
    def look(self, texts: Texts) -> pl.DataFrame: ...
    def finish(self) -> pl.DataFrame: ...


def no_findings() -> pl.DataFrame:
    return pl.DataFrame(schema=FOUND)


def as_findings(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Findings of several languages as one frame with the columns of FOUND."""
    return pl.concat([no_findings(), *(part.select(FOUND.names()).cast(FOUND) for part in parts)])


def found_in(frame: pl.DataFrame, tag: str, reason: str | pl.Expr) -> pl.DataFrame:
    """Every row of the frame (with `item_id`) as a finding."""
    said = pl.lit(reason) if isinstance(reason, str) else reason
    return frame.select("item_id", language=pl.lit(tag), reason=said)


def slices(corpus: ParallelCorpus, frame: Sequence[str], *, items: int = ITEMS_PER_SLICE) -> Iterator[Texts]:
    """The corpus in slices of so many items, without the lines of the frame."""
    for start in range(0, corpus.num_items, items):
        yield texts_of(corpus, start, items, frame)


def frame_of(corpus: ParallelCorpus) -> list[str]:
    """Lines that most prompts of a language have in common: instructions and lists of tools, which no item is about."""
    sample = texts_of(corpus, 0, SAMPLE)
    lines: dict[str, None] = {}
    for prompts in sample.prompts.values():
        if len(prompts) < MIN_FRAMED or not prompts.str.contains("\n").all():
            continue
        counts = prompts.str.split("\n").list.unique().explode().value_counts(name="number")
        counts = counts.filter((pl.col("number") > len(prompts) / 2) & (pl.col(prompts.name).str.len_chars() > 0))
        lines |= dict.fromkeys(counts[prompts.name].to_list())
    return sorted(lines, key=len, reverse=True)


MIN_FRAMED = 20
"""Fewer prompts say nothing about what they have in common."""


def texts_of(corpus: ParallelCorpus, start: int, items: int, frame: Sequence[str] = ()) -> Texts:
    num_languages = len(corpus.languages)
    part = corpus.rows.slice(start * num_languages, items * num_languages)
    user = pl.element().filter(pl.element().struct.field("role") == "user").struct.field("content")
    last = pl.col("messages").list.last()
    part = part.select(
        "item_id",
        "language",
        prompt=pl.col("messages").list.eval(user).list.last().fill_null(""),
        completion=pl.when(last.struct.field("role") == "assistant").then(last.struct.field("content")).fill_null(""),
        answer=pl.col("answer"),
    )

    part, long = _bounded(part)
    if frame:
        part = part.with_columns(pl.col("prompt").str.replace_many(list(frame), [""] * len(frame)).str.strip_chars())

    def wide(column: str) -> dict[str, pl.Series]:
        return {
            tag: part[column].gather_every(num_languages, offset=place) for place, tag in enumerate(corpus.languages)
        }

    part = part.with_columns(size=pl.col("prompt").str.len_bytes() + pl.col("cut"))

    return Texts(
        sizes=wide("size"),
        long=long,
        languages=corpus.languages,
        reference="en" if "en" in corpus.languages else corpus.languages[0],
        item_ids=part["item_id"].gather_every(num_languages),
        prompts=wide("prompt"),
        completions=wide("completion"),
        answers=wide("answer"),
    )


def _bounded(part: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Texts cut to MAX_CHECKED characters with `cut`, the bytes that a prompt lost; and the rows with such texts."""
    whole = pl.col(*_TEXTS).str.len_bytes()  # of characters there are fewer, and counting bytes costs nothing
    if not any(size is not None and size > MAX_CHECKED for size in part.select(whole.max()).row(0)):
        return part.with_columns(cut=pl.lit(0, pl.UInt32)), pl.DataFrame(schema=_LONG)
    characters = pl.max_horizontal(pl.col(*_TEXTS).str.len_chars())
    long = part.select("item_id", "language", characters=characters).filter(pl.col("characters") > MAX_CHECKED)
    before = pl.col("prompt").str.len_bytes()
    cut = part.with_columns(pl.col(*_TEXTS).str.head(MAX_CHECKED), before=before)
    return cut.with_columns(cut=pl.col("before") - pl.col("prompt").str.len_bytes()), long.cast(_LONG)


_TEXTS = ("prompt", "completion", "answer")
_LONG = pl.Schema({"item_id": pl.String(), "language": pl.String(), "characters": pl.Int64()})
_NOT_PROSE = r"(?m)^\s*[\[{].*$|`[^`]*`|https?://\S+|\w+\([^)]*\)"


def prose(series: pl.Series) -> pl.Series:
    """Texts without lines of JSON, code, addresses and calls."""
    return series.str.replace_all(_NOT_PROSE, " ")
