"""Findings of corpus checks: their schema, the interface of a check and the data that a check receives.

A check is a module of `corpora/checks/` with

    SEVERITY: "error" | "warning"      severity of its findings: errors invalidate results, warnings need inspection
    TITLE: str                         short description of the finding
    class Check:
        __init__(sample: Texts)        the first items, to estimate typical values
        look(texts: Texts)             returns the findings of one slice of items
        finish()                       returns the findings that depend on the whole corpus

Corpora are processed in slices of items, so that ten million rows fit in memory. Checks evaluate vectorised
expressions over the columns of a slice; exact but slow methods run only on the rows that these expressions select.
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
"""Characters of a text that checks process, because a row of 50 MB would take minutes. The check `lengths` reports rows
with longer texts."""
ITEMS_PER_SLICE = 20_000
SAMPLE = 5_000


@dataclass(frozen=True, kw_only=True)
class Texts:
    """Consecutive items in wide form: one series of length `num_items` per language."""

    languages: tuple[str, ...]
    reference: str
    """Reference language, with which the others are compared: English if present, else the first."""
    item_ids: pl.Series
    prompts: dict[str, pl.Series]
    """Last user message, per language."""
    completions: dict[str, pl.Series]
    """Final assistant message, per language; "" if the conversation does not end with one."""
    answers: dict[str, pl.Series]
    """Gold answer, per language."""
    sizes: dict[str, pl.Series]
    """Bytes of the prompts before truncation, per language."""
    long: pl.DataFrame
    """Rows with a truncated text: item_id, language, characters."""

    @property
    def others(self) -> tuple[str, ...]:
        """All languages except the reference language."""
        return tuple(tag for tag in self.languages if tag != self.reference)

    def frame(self, **columns: pl.Series) -> pl.DataFrame:
        """Return a data frame with `item_id` and the given columns."""
        return pl.DataFrame({"item_id": self.item_ids, **columns})


class Check(Protocol):
    def __init__(self, sample: Texts) -> None: ...
    def look(self, texts: Texts) -> pl.DataFrame: ...
    def finish(self) -> pl.DataFrame: ...


def no_findings() -> pl.DataFrame:
    return pl.DataFrame(schema=FOUND)


def as_findings(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Concatenate findings into one data frame with the columns of `FOUND`."""
    return pl.concat([no_findings(), *(part.select(FOUND.names()).cast(FOUND) for part in parts)])


def found_in(frame: pl.DataFrame, tag: str, reason: str | pl.Expr) -> pl.DataFrame:
    """Convert rows to findings.

    Args:
        frame: Affected items, with a column `item_id`.
        tag: Language of the findings.
        reason: The same reason for all rows, or an expression over the columns of `frame`.

    Returns:
        One finding per row, with the columns of `FOUND`.
    """
    reasons = pl.lit(reason) if isinstance(reason, str) else reason
    return frame.select("item_id", language=pl.lit(tag), reason=reasons)


def slices(corpus: ParallelCorpus, frame: Sequence[str], *, items: int = ITEMS_PER_SLICE) -> Iterator[Texts]:
    """Iterate over a corpus in slices.

    Args:
        corpus: The corpus.
        frame: Lines to remove from prompts (see `frame_of`).
        items: Items per slice.

    Yields:
        The texts of consecutive items.
    """
    for start in range(0, corpus.num_items, items):
        yield texts_of(corpus, start, items, frame)


def frame_of(corpus: ParallelCorpus) -> list[str]:
    """Return the lines that most prompts of a language share, such as instructions and lists of tools.

    Returns:
        Lines, the longest first. Checks ignore them because they are not part of an item.
    """
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
"""Minimum number of prompts for the detection of shared lines."""


def texts_of(corpus: ParallelCorpus, start: int, items: int, frame: Sequence[str] = ()) -> Texts:
    """Return the texts of consecutive items in wide form.

    Args:
        corpus: The corpus.
        start: Position of the first item.
        items: Number of items.
        frame: Lines to remove from prompts.
    """
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
    """Truncate texts to `MAX_CHECKED` characters.

    Returns:
        The rows, with the number of bytes removed from the prompt in `cut`, and the rows with truncated texts.
    """
    whole = pl.col(*_TEXTS).str.len_bytes()  # an upper bound on the number of characters, and cheap to compute
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
    """Remove lines of JSON, code, URLs and function calls from texts."""
    return series.str.replace_all(_NOT_PROSE, " ")
