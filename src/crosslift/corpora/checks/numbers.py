"""Check that numbers of the reference text occur in the translations.

The first pass compares digits over whole columns (1,234.5 and 1.234,5 have the same digits). The second pass parses
rows with missing digits in the notation of the language, including numerals in characters. A number may still be
written in words, so findings are warnings. Numbers below ten are skipped, because they are often written as words.
"""

from __future__ import annotations

import unicodedata

import polars as pl

from crosslift.corpora.findings import Texts, as_findings, found_in, no_findings
from crosslift.languages.language import Language, language
from crosslift.languages.numbers import han
from crosslift.languages.numbers.numerals import fold, numbers, write

SEVERITY = "warning"
TITLE = "numbers of the text are missing"

_NUMBER = r"\d+(?:[.,'\u{a0}\u{2009}\u{202f}]\d+)*"
_ZEROS = [chr(point) for point in range(0x660, 0x1D7F6) if unicodedata.decimal(chr(point), None) == 0]
_DIGITS = {chr(ord(zero) + value): str(value) for zero in _ZEROS for value in range(10)}
_NATIVE = r"[\p{Nd}--0-9]"


class Check:
    def __init__(self, sample: Texts) -> None:
        pass

    def look(self, texts: Texts) -> pl.DataFrame:
        ours = texts.frame(text=texts.prompts[texts.reference]).select(
            "item_id", first="text", ours=_digits(pl.col("text")).list.unique()
        )
        numbered = ours.filter(pl.col("ours").list.len() > 0)
        parts = []
        for tag in texts.others:
            theirs = texts.prompts[tag].filter(ours["ours"].list.len() > 0)
            if theirs.str.contains(r"[^\x00-\x7f]").any() and language(tag).digits[1] != "1":
                theirs = theirs.str.replace_many(list(_DIGITS), list(_DIGITS.values()))
            both = numbered.with_columns(
                other=texts.prompts[tag].filter(ours["ours"].list.len() > 0), theirs=_digits_of(theirs)
            )
            doubtful = both.filter(pl.col("ours").list.set_difference("theirs").list.len() > 0)
            lacking = [
                _missing(first, other, language(texts.reference), language(tag))
                for first, other in doubtful.select("first", "other").iter_rows()
            ]
            doubtful = doubtful.with_columns(lacking=pl.Series(lacking, dtype=pl.String)).filter(
                pl.col("lacking") != ""
            )
            parts.append(
                found_in(doubtful, tag, pl.format(f"of the text in {texts.reference} is missing: {{}}", "lacking"))
            )
        return as_findings(parts)

    def finish(self) -> pl.DataFrame:
        return no_findings()


def _digits(column: pl.Expr) -> pl.Expr:
    """Extract the numbers of two or more digits, without grouping and decimal marks."""
    bare = pl.element().str.replace_all(r"\D", "")
    return column.str.extract_all(_NUMBER).list.eval(bare.filter(bare.str.len_bytes() > 1))


def _digits_of(series: pl.Series) -> pl.Series:
    return series.to_frame("text").select(_digits(pl.col("text")))["text"]


def _missing(first: str, other: str, own: Language, foreign: Language) -> str:
    """Return the values that are missing in the translation, or "" if none is."""
    wanted = {number.readings for number in numbers(first, own) if max(number.readings) >= 10}
    there = {value for number in numbers(other, foreign) for value in number.readings}
    there |= {value for number in numbers(other, own) for value in number.readings}
    left = [readings for readings in wanted if not there & set(readings)]
    if left and foreign.script in ("Hans", "Hant", "Jpan", "Kore"):
        there |= han.all_values(fold(other))
        left = [readings for readings in left if not there & set(readings)]
    return ", ".join(sorted(write(readings[0]) for readings in left))
