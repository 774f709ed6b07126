"""Extraction of numbers from text in many languages, as exact values.

`float(re.findall(r"[0-9.]+", text)[-1])` parses "2.125" in a German answer as two and an eighth and does not find "১৮"
or "3万" at all; the resulting scores of 0 look like a language that the model does not know. Here a number is parsed in
the notation of the language and, because models mix conventions, also in ASCII notation. If the two readings differ,
both are kept, and the caller decides which to use.

Scale words and characters multiply ("3万", "2.5 लाख", "5 millones"), "a/b" and "2 1/2" are one number each, and
"1.2 × 10^3" is 1200. A number with a percent sign has the share as a further reading.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache

import regex

from crosslift.languages.language import Language
from crosslift.languages.language import language as find_language
from crosslift.languages.numbers import han
from crosslift.languages.numbers.notation import (
    ASCII,
    CURRENCIES,
    MAX_DIGITS,
    SPACES,
    SUPERSCRIPTS,
    Notation,
    fold,
    notation,
    parse,
    write,
)

MAX_EXPONENT = 300
MAX_FACTOR = 10**60
"""Of words of scale in a row, where more of them are a model repeating itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Number:
    """A number in a text."""

    readings: tuple[Fraction, ...]
    """Possible values: in the notation of the language, then in ASCII notation if it differs: German "1.234" ->
    (1234, 1.234)."""
    start: int
    """Position of its first character, sign included, in the folded text."""
    end: int
    """Position after its last character in the folded text."""

    @property
    def value(self) -> Fraction:
        """The value in the notation of the language."""
        return self.readings[0]


_DIGITS = {
    # A plain space groups digits in languages with a decimal comma (SI brochure, 5.4.4; the Spanish academy, besides
    # the dot of CLDR). In English, "in 23 100 people came" contains two numbers.
    plain_space: regex.compile(rf"\d+(?:[.,٫٬'_]\d+|[{spaces}]\d{{3}}(?!\d))*|(?<![^\s(\[=:{CURRENCIES}-])\.\d+")
    for plain_space, spaces in ((True, SPACES), (False, SPACES[1:]))
}
_PIECE = regex.compile(r"\d+")
_SIGN = regex.compile(rf"-(?:\s?[{CURRENCIES}]\s?)?$")


def numbers(text: str, language: Language) -> list[Number]:
    """Find all numbers of a text that contain a digit.

    Digits and marks that neither notation permits are a list or a date and are split: "1,2,3" is three numbers, and so
    is "12.05.2023". `a/b` without spaces is one number. A minus is a sign unless it follows a number or a word.

    Args:
        text: the text; it need not be folded.
        language: the language of the text.

    Returns:
        The numbers in order of appearance, with positions in `fold(text)`.
    """
    text = fold(text)
    own = notation(language.decimal_mark, language.group_mark)
    found: list[Number] = []
    for match in _DIGITS[language.decimal_mark == ","].finditer(text):
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
    if not found:
        return []
    found = _with_mixed(text, _with_fractions(text, _with_powers(text, found)))
    return [_with_percent(text, number) for number in _with_scales(text, found, language)]


def parse_character_numeral(text: str, language: Language) -> Number | None:
    """Parse the numeral in Chinese characters or Hangul, 三十六 or 삼십육, at the beginning of a folded text."""
    found = han.parse_prefix(text) if language.script in _CHARACTER_NUMERAL_SCRIPTS else None
    if found is None:
        return None
    value, end = found
    return Number(readings=(value,), start=0, end=end)


_CHARACTER_NUMERAL_SCRIPTS = ("Hans", "Hant", "Jpan", "Kore")


def _readings(digits: str, own: Notation) -> tuple[Fraction, ...]:
    return tuple(dict.fromkeys(value for n in (own, ASCII) if (value := n.read(digits)) is not None))


def _signed(text: str, readings: tuple[Fraction, ...], start: int, end: int) -> Number:
    sign = _SIGN.search(text, max(0, start - 4), start)
    if sign is None or _subtracts(text, sign.start()):
        return Number(readings=readings, start=start, end=end)
    return Number(readings=tuple(-value for value in readings), start=sign.start(), end=end)


def _subtracts(text: str, place: int) -> bool:
    """Whether the minus is a subtraction or a hyphen: True for "COVID-19", "10 -3", "(2)-1"; False for "答案是-3"."""
    before = text[place - 1 : place] if place else ""
    if before and (before.lower() != before.upper() or "א" <= before <= "ת"):  # scripts with hyphens
        return True
    while place and text[place - 1] in SPACES:
        place -= 1
    before = text[place - 1 : place] if place else ""
    return bool(before) and (before.isdigit() or before in ")]%")


def _with_fractions(text: str, found: list[Number]) -> list[Number]:
    """Join `a/b`, but not "1/2/2023"."""
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


def _with_powers(text: str, found: list[Number]) -> list[Number]:
    """Join "1.2 × 10^3", "3 \\times 10^{4}", "5×10⁶" and "1.5e3"."""
    joined: list[Number] = []
    for number in found:
        if joined and number.start < joined[-1].end:
            continue
        if match := _POWER.match(text, number.end):
            exponent = int(next(group for group in match.groups() if group).translate(SUPERSCRIPTS))
            if abs(exponent) <= MAX_EXPONENT:
                joined.append(_times(number, Fraction(10) ** exponent, match.end()))
                continue
        joined.append(number)
    return joined


_POWER = regex.compile(
    r"\s*(?:[x*×·]|\\times|\\cdot)\s*10\s*(?:\^\s*\{?\s*(-?\d{1,3})\s*\}?|\*\*\s*(-?\d{1,3})|([⁰¹²³⁴-⁹⁻]{1,3}))(?!\d)"
    r"|[eE](\+?-?\d{1,3})(?!\w)"
)


def _times(number: Number, factor: Fraction, end: int) -> Number:
    return replace(number, readings=tuple(value * factor for value in number.readings), end=end)


def _with_mixed(text: str, found: list[Number]) -> list[Number]:
    """Join "2 1/2" and "2½"."""
    joined: list[Number] = []
    for number in found:
        whole = joined[-1] if joined else None
        if (
            whole is not None
            and "/" in text[number.start : number.end]
            and 0 < number.value < 1
            and whole.value.denominator == 1
            and text[whole.end : number.start] in (" ", "  ")
        ):
            part = -number.value if text[whole.start] == "-" else number.value
            joined[-1] = Number(readings=(whole.value + part,), start=whole.start, end=number.end)
        else:
            joined.append(number)
    return joined


@dataclass(frozen=True, kw_only=True)
class _Scales:
    after: regex.Pattern[str]
    before: regex.Pattern[str]
    factors: dict[str, int]


@cache
def _scales(language: Language) -> _Scales:
    """The scale words of the language and of English, and the units in characters."""
    after = {**find_language("en").scales, **language.scales}
    before = language.leading_scales
    glued = [word for word in after if len(word) == 1 and word.isascii()]
    spaced = sorted((word for word in after if word not in glued), key=len, reverse=True)
    gap, end = rf"[{SPACES}-]*", r"(?!\p{M}|ธ)" if language.script == "Thai" else r"(?![\p{L}\p{M}])"  # พันธุ์: species
    patterns = [
        rf"(?:{'|'.join(glued)}){end}",
        rf"{gap}(?:{'|'.join(map(regex.escape, spaced))})(?:(?<=\.)|{end})",
        rf"[{SPACES}]?(?!{han.NON_UNIT_WORDS})[{''.join(han.UNITS)}]",
    ]
    words = "|".join(map(regex.escape, sorted(before, key=len, reverse=True))) or r"(?!)"
    return _Scales(
        after=regex.compile("|".join(patterns), regex.IGNORECASE),
        before=regex.compile(rf"(?<![\p{{L}}\p{{M}}])(?:{words})[{SPACES}]+$", regex.IGNORECASE),
        factors={word.casefold(): factor for word, factor in (after | before | han.UNITS).items()},
    )


def _with_scales(text: str, found: list[Number], language: Language) -> list[Number]:
    """Multiply numbers by adjacent scale words and units, and add the parts of compound numbers: 3万5千, 2 lakh 50
    thousand."""
    scales = _scales(language)
    joined: list[Number] = []
    smallest = 0  # the last unit of the last number in `joined`; 0 without a unit
    for number in found:
        scaled, factor = _scaled(text, number, scales)
        before = joined[-1] if joined else None
        gap = text[before.end : scaled.start] if before else ""
        alone = factor > 1 or not gap or language.script == "Kore"
        if before is not None and gap.strip(SPACES) == "" and len(gap) <= 1 and alone and 0 < scaled.value < smallest:
            readings = (before.value + scaled.value,)
            joined[-1] = Number(readings=readings, start=before.start, end=scaled.end)
        else:
            joined.append(scaled)
        smallest = factor if factor > 1 else 0
    return joined


def _scaled(text: str, number: Number, scales: _Scales) -> tuple[Number, int]:
    """The number multiplied by its scale words, and their product (1 without any)."""
    factor = 1
    while factor < MAX_FACTOR and (match := scales.after.match(text, number.end)):
        part = scales.factors[match.group().strip(SPACES + "-").casefold()]
        number, factor = _times(number, Fraction(part), match.end()), factor * part
    if factor == 1 and (match := scales.before.search(text[max(0, number.start - 20) : number.start])):
        factor = scales.factors[match.group().strip(SPACES).casefold()]
        start = number.start - len(match.group())
        number = replace(_times(number, Fraction(factor), number.end), start=start)
    return number, factor


_PERCENT = regex.compile(rf"[{SPACES}]?%")


def _with_percent(text: str, number: Number) -> Number:
    """Add the reading as a share: 25 % is 25 or 0.25. Turkish writes the percent sign before the number."""
    if not (_PERCENT.match(text, number.end) or text[max(0, number.start - 1) : number.start] == "%"):
        return number
    shares = (value / 100 for value in number.readings)
    return replace(number, readings=tuple(dict.fromkeys((*number.readings, *shares))))


__all__ = ["Number", "fold", "numbers", "parse", "parse_character_numeral", "write"]
