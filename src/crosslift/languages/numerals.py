"""Numbers in running text, in the notations of many languages, as exact values.

`float(re.findall(r"[0-9.]+", text)[-1])` reads "2.125" of a German answer as two and an eighth and "১৮" not at all, and
the zeros that follow look like a language that the model does not know. Here a number is read in the language's own
notation and, because models mix conventions, in the ASCII one too where the two differ. Both readings are kept: the
reader of the number decides which one it can use.

Numbers in words, Han numerals ("三万") and myriad units ("3万") are not read yet. They belong in `numbers`, as a second
scanner whose finds are merged by position.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache

from crosslift.languages.language import Language

SPACES = " \u00a0\u2009\u202f"  # plain, no-break, thin, narrow no-break
MAX_DIGITS = 300
"""A longer run of digits is a model repeating itself, not a number (and Python refuses to read 4,300)."""
CURRENCIES = "$€£¥₹฿₽৳₩"

_SAME_AS = {
    **dict.fromkeys("−－﹣‐‑–", "-"),
    **dict(zip("．，／＝＋（）＄：　’", ".,/=+()$: '", strict=True)),
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
_LATEX_FRACTION = re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")


def fold(text: str) -> str:
    """Any decimal digit to ASCII, full-width marks and the several minus signs likewise, LaTeX fractions to a/b.

    Folding twice changes nothing. Superscripts and circled digits are not decimal digits and stay ("m²" holds no 2).
    """
    text = text.translate(_FOLDING)
    if "\\" in text or "{,}" in text:
        text = _LATEX_FRACTION.sub(r"\1/\2", _LATEX_SPACING.sub(",", text))
    return text


@dataclass(frozen=True, kw_only=True, slots=True)
class Number:
    readings: tuple[Fraction, ...]
    """The language's own reading first, then the ASCII one where it differs: German "1.234" -> (1234, 1.234)."""
    start: int
    """Position in the folded text, sign included."""
    end: int

    @property
    def value(self) -> Fraction:
        """In the language's own notation."""
        return self.readings[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Notation:
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
def _notation(decimal_mark: str, group_mark: str) -> _Notation:
    decimal = re.escape(decimal_mark)
    groups = re.escape(SPACES + "'_٬" + group_mark)
    part = f"(?:{decimal}\\d+)?"
    western = rf"[1-9]\d{{0,2}}([{groups}])\d{{3}}(?:\1\d{{3}})*{part}"
    indian = rf"[1-9]\d?(?:,\d\d)+,\d{{3}}{part}" if group_mark == "," else r"(?!)"
    return _Notation(
        grouped=re.compile(f"{western}|{indian}"),
        simple=re.compile(rf"\d*{decimal}\d+|\d+"),
        decimal_mark=decimal_mark,
    )


ASCII = _notation(".", ",")

_DIGITS = {
    # a plain space groups digits only where the language writes so: "in 2023 100 people came" holds two numbers
    plain_space: re.compile(rf"\d+(?:[.,٫٬'_]\d+|[{spaces}]\d{{3}}(?!\d))*|(?<![^\s(\[=:{CURRENCIES}-])\.\d+")
    for plain_space, spaces in ((True, SPACES), (False, SPACES[1:]))
}
_PIECE = re.compile(r"\d+")
_SIGN = re.compile(rf"-(?:\s?[{CURRENCIES}]\s?)?$")


def numbers(text: str, language: Language) -> list[Number]:
    """All numbers of a text in order of appearance, with their places in `fold(text)`.

    Digits and marks that neither notation writes are a list or a date and fall apart: "1,2,3" is three numbers,
    "12.05.2023" likewise. `a/b` without spaces is one number. A minus counts as a sign unless something to subtract
    from stands before it.
    """
    text = fold(text)
    own = _notation(language.decimal_mark, language.group_mark)
    found: list[Number] = []
    for match in _DIGITS[language.group_mark in SPACES].finditer(text):
        if len(match.group()) > MAX_DIGITS:
            continue
        readings = _readings(match.group(), own)
        if readings:
            found.append(_signed(text, readings, match.start(), match.end()))
        else:
            pieces = _PIECE.finditer(text, match.start(), match.end())
            found.extend(
                Number(readings=(Fraction(piece.group()),), start=piece.start(), end=piece.end()) for piece in pieces
            )
    return _with_fractions(text, found)


def _readings(digits: str, own: _Notation) -> tuple[Fraction, ...]:
    return tuple(dict.fromkeys(value for n in (own, ASCII) if (value := n.read(digits)) is not None))


def _signed(text: str, readings: tuple[Fraction, ...], start: int, end: int) -> Number:
    sign = _SIGN.search(text, max(0, start - 4), start)
    if sign is None or _subtracts(text, sign.start()):
        return Number(readings=readings, start=start, end=end)
    return Number(readings=tuple(-value for value in readings), start=sign.start(), end=end)


def _subtracts(text: str, place: int) -> bool:
    """Is the minus at this place a subtraction or a hyphen? "COVID-19", "10 -3", "(2)-1" yes; "答案是-3" no."""
    before = text[:place]
    if before and before[-1].lower() != before[-1].upper():  # scripts with case are the ones that hyphenate
        return True
    before = before.rstrip(SPACES)
    return bool(before) and (before[-1].isdigit() or before[-1] in ")]%")


def _with_fractions(text: str, found: list[Number]) -> list[Number]:
    """Join `a/b`; leave "1/2/2023" alone."""
    joined: list[Number] = []
    for index, number in enumerate(found):
        before = joined[-1] if joined else None
        slash = before is not None and text[before.end : number.start] == "/"
        chained = text[number.end : number.end + 1] == "/" or (
            index > 1 and text[found[index - 2].end : found[index - 1].start] == "/"
        )
        if before is not None and slash and not chained and number.value != 0:
            joined[-1] = Number(readings=(before.value / number.value,), start=before.start, end=number.end)
        else:
            joined.append(number)
    return joined


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
