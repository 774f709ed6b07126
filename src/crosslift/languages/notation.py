"""How numbers are written in digits: which digits, which marks between them, and how to read and write one number.

Texts are folded first: every decimal digit of Unicode to ASCII, full-width marks and the several minus signs likewise,
fractions in LaTeX or in one character to a/b. Folded text is what positions of numbers refer to.
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
"""A longer run of digits is a model repeating itself, not a number (and Python refuses to read 4,300)."""
CURRENCIES = "$€£¥₹฿₽৳₩"

SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")

_SAME_AS = {
    **dict.fromkeys("−－﹣‐‑–", "-"),
    **{
        character: f" {unicodedata.normalize('NFKC', character).replace('⁄', '/')}"
        for character in "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅐⅛⅜⅝⅞⅑⅒"
    },
    **dict(zip("．，／＝＋（）＄：　’％٪", ".,/=+()$: '%%", strict=True)),
    # marks of direction and joining stand between a sign and its digits and change no value
    **dict.fromkeys("\u061c\u200b\u200c\u200d\u200e\u200f\u2066\u2067\u2068\u2069\ufeff", None),
}


class _Folding(dict[int, str | None]):
    """Code point -> what it counts as; filled as characters are met, for Unicode has some 760 decimal digits."""

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
    """Any decimal digit to ASCII, full-width marks and the several minus signs likewise, LaTeX fractions to a/b.

    Folding twice changes nothing. Superscripts and circled digits are not decimal digits and stay ("m²" holds no 2).
    """
    text = text.translate(_FOLDING)
    if "\\" in text or "{,}" in text:
        text = _LATEX_ESCAPE.sub(r"\1", _LATEX_SPACING.sub(",", text))
        text = _LATEX_FRACTION.sub(r" \1\2/\3\4", text)
    return text


@dataclass(frozen=True, kw_only=True, slots=True)
class Notation:
    """How digits and marks may be put together; `read` gives None for what the notation does not write."""

    grouped: re.Pattern[str]
    simple: re.Pattern[str]
    decimal_mark: str

    def read(self, digits: str) -> Fraction | None:
        if not (self.grouped.fullmatch(digits) or self.simple.fullmatch(digits)):
            return None
        whole, _, part = digits.partition(self.decimal_mark)
        return Fraction(re.sub(r"\D", "", whole) + "." + (part or "0"))


@cache
def notation(decimal_mark: str, group_mark: str) -> Notation:
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
    """The one number that a text consists of, in ASCII notation: what gold answers are written in ("2,125", "-3.5").

    Raises:
        ValueError: the text is something else.
    """
    folded = fold(text).strip()
    value = ASCII.read(folded.removeprefix("-"))
    if value is None:
        raise ValueError(f"{text!r} is not a number. Write gold answers like 42, 2,125 or -3.5.")
    return -value if folded.startswith("-") else value


def write(value: Fraction) -> str:
    """A value for people and tables: "42", "3.5"; what has no short decimal form as "1/3"."""
    decimal = Decimal(value.numerator) / Decimal(value.denominator)
    return format(decimal, "f") if Fraction(decimal) == value else str(value)
