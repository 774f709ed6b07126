"""Check that gold answers agree across languages: numbers by value, calls by name and arguments.

Free-text answers, such as summaries, differ between languages and are skipped.
"""

from __future__ import annotations

import polars as pl

from crosslift.corpora.findings import Texts, as_findings, found_in, no_findings
from crosslift.languages.numbers.notation import parse

SEVERITY = "error"
TITLE = "answers differ between languages"

_NUMBER = r"^\s*-?[\p{Nd}][\p{Nd}.,/\s]*$"
_CALL = r"^\s*\[?\s*[\w.]+\("
_POSSIBLE = r"^\s*\[\s*\{"


class Check:
    def __init__(self, sample: Texts) -> None:
        pass

    def look(self, texts: Texts) -> pl.DataFrame:
        first = texts.answers[texts.reference]
        parts = []
        for tag in texts.others:
            both = texts.frame(first=first, other=texts.answers[tag]).filter(pl.col("first") != pl.col("other"))
            if both.is_empty():
                continue
            numbers = both.filter(pl.col("first").str.contains(_NUMBER))
            parts.append(_differing(numbers.filter(~_same_number(numbers)), tag, texts.reference))
            calls = both.filter(
                pl.col("first").str.contains(_CALL) & (_names(pl.col("first")) != _names(pl.col("other")))
            )
            parts.append(_differing(calls, tag, texts.reference, what="call"))
            rest = both.filter(
                pl.col("first").str.contains(_CALL)
                & (_names(pl.col("first")) == _names(pl.col("other")))
                & (_keys(pl.col("first")) != _keys(pl.col("other")))
            )
            parts.append(_differing(rest, tag, texts.reference, what="set of arguments"))
            possible = both.filter(
                pl.col("first").str.contains(_POSSIBLE) & (_json_keys(pl.col("first")) != _json_keys(pl.col("other")))
            )
            parts.append(_differing(possible, tag, texts.reference, what="call"))
        return as_findings(parts)

    def finish(self) -> pl.DataFrame:
        return no_findings()


def _same_number(both: pl.DataFrame) -> pl.Series:
    return pl.Series([_value(first) == _value(other) for first, other in both.select("first", "other").iter_rows()],
                     dtype=pl.Boolean)  # fmt: skip


def _value(text: str) -> object:
    try:
        return parse(text)
    except ValueError:
        return text


def _names(column: pl.Expr) -> pl.Expr:
    return column.str.extract_all(r"[\w.]+\(").list.sort().list.join(" ")


def _keys(column: pl.Expr) -> pl.Expr:
    return (
        column.str.extract_all(r"[(,]\s*\w+\s*=")
        .list.eval(pl.element().str.strip_chars("(,= "))
        .list.sort()
        .list.join(" ")
    )


def _json_keys(column: pl.Expr) -> pl.Expr:
    return column.str.extract_all(r'"[^"\\]*"\s*:').list.sort().list.join(" ")


def _differing(rows: pl.DataFrame, tag: str, reference: str, *, what: str = "answer") -> pl.DataFrame:
    shown = [pl.col(name).str.slice(0, 60) for name in ("other", "first")]
    return found_in(rows, tag, pl.format(f"another {what} than in {reference}: {{}} and not {{}}", *shown))
