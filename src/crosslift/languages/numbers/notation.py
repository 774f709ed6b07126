"""Notation of numbers in digits: digits, decimal and group marks, and parsing and formatting of one number.

Texts are folded first: all Unicode decimal digits, full-width marks and minus signs become ASCII, and fractions in
LaTeX or in a single character become a/b. Positions of numbers refer to the folded text.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache

SPACES = " \u00a0\u2009\u202f"  # plain, no-break, thin, narrow no-break
MAX_DIGITS = 300
"""Maximum digits of a number. A longer sequence is degenerate repetition of a model; Python's limit is 4,300 digits."""
CURRENCIES = "$€£¥₹฿₽৳₩"

SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")

_SAME_AS = {
    **dict.fromkeys("−－﹣‐‑–", "-"),
    **{
        character: f" {unicodedata.normalize('NFKC', character).replace('⁄', '/')}"
        for character in "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅐⅛⅜⅝⅞⅑⅒"
    },
    **dict(zip("．，／＝＋（）＄：　’％٪", ".,/=+()$: '%%", strict=True)),
    # directional and joining marks may stand between a sign and its digits, and do not change the value
    **dict.fromkeys("\u061c\u200b\u200c\u200d\u200e\u200f\u2066\u2067\u2068\u2069\ufeff", None),
}


class _Folding(dict[int, str | None]):
    """Code point -> replacement, filled on demand, because Unicode has some 760 decimal digits."""

    def __missing__(self, point: int) -> str | None:
        character = chr(point)
        digit = unicodedata.decimal(character, None)
        self[point] = _SAME_AS.get(character, character) if digit is None else str(digit)
        return self[point]


_FOLDING = _Folding()
_LATEX_SPACING = re.compile(r"\{,\}|(?<=\d)\\[,!;](?=\d)")
_LATEX_FRACTION = re.compile(r"\\[dtc]?frac\s*(?:\{([^{}]*)\}|(\d))\s*(?:\{([^{}]*)\}|(\d))")
_LATEX_ESCAPE = re.compile(r"\\([$%])")


def fold(text: str) -> str:
    """Convert decimal digits, full-width marks and minus signs to ASCII, and LaTeX fractions to a/b.

    The function is idempotent. Superscripts and circled digits are no decimal digits and stay ("m²" contains no 2).
    """
    text = text.translate(_FOLDING)
    if "\\" in text or "{,}" in text:
        text = _LATEX_ESCAPE.sub(r"\1", _LATEX_SPACING.sub(",", text))
        text = _LATEX_FRACTION.sub(r" \1\2/\3\4", text)
    return text


@dataclass(frozen=True, kw_only=True, slots=True)
class Notation:
    """A notation of numbers: the valid combinations of digits, decimal mark and group marks."""

    grouped: re.Pattern[str]
    """Numbers with group marks."""
    simple: re.Pattern[str]
    """Numbers without group marks."""
    decimal_mark: str

    def read(self, digits: str) -> Fraction | None:
        """The value of an unsigned number; None if the notation does not permit the text."""
        if not (self.grouped.fullmatch(digits) or self.simple.fullmatch(digits)):
            return None
        whole, _, part = digits.partition(self.decimal_mark)
        return Fraction(re.sub(r"\D", "", whole) + "." + (part or "0"))


@cache
def notation(decimal_mark: str, group_mark: str) -> Notation:
    """The notation with these marks; spaces, apostrophes and underscores also group digits."""
    decimal = re.escape(decimal_mark)
    groups = re.escape(SPACES + "'_٬" + group_mark)
    part = f"(?:{decimal}\\d+)?"
    western = rf"[1-9]\d{{0,2}}([{groups}])\d{{3}}(?:\1\d{{3}})*{part}"
    indian = rf"[1-9]\d?(?:,\d\d)+,\d{{3}}{part}" if group_mark == "," else r"(?!)"
    return Notation(
        grouped=re.compile(f"{western}|{indian}"),
        simple=re.compile(rf"\d*{decimal}\d+|\d+"),
        decimal_mark=decimal_mark,
    )


ASCII = notation(".", ",")


def parse(text: str) -> Fraction:
    """Parse a text that is one number in ASCII notation, the notation of gold answers ("2,125", "-3.5").

    Raises:
        ValueError: the text is not such a number.
    """
    folded = fold(text).strip()
    value = ASCII.read(folded.removeprefix("-"))
    if value is None:
        raise ValueError(f"{text!r} is not a number. Write gold answers like 42, 2,125 or -3.5.")
    return -value if folded.startswith("-") else value


def write(value: Fraction) -> str:
    """Format a value for display: "42", "3.5"; a value without a finite decimal form as a fraction, "1/3"."""
    decimal = Decimal(value.numerator) / Decimal(value.denominator)
    return format(decimal, "f") if Fraction(decimal) == value else str(value)
