"""Numerals in Chinese characters and in Hangul: 三万五千, 二百五十, 一八, 삼십오.

Numerals consist of digits and units. A unit below ten thousand multiplies the digit before it; 万 億 兆 multiply
everything before them up to the previous such unit; a sequence of digits without units is positional. The characters
alone do not show whether they are a numeral (一起 means "together", 이 is a particle). `parse_prefix` therefore parses
only the beginning of a text, and the caller decides where that is.
"""

from __future__ import annotations

from fractions import Fraction

import regex

_DIGITS = {
    **dict(zip("〇一二三四五六七八九", range(10), strict=True)),
    **dict(zip("零壹贰叁肆伍陆柒捌玖", range(10), strict=True)),
    **{"两": 2, "兩": 2, "貳": 2, "弐": 2, "參": 3, "参": 3, "陸": 6, "壱": 1, "○": 0},
    **dict(zip("영일이삼사오육칠팔구", range(10), strict=True)),
    **{"공": 0},
}
_SMALL = {"十": 10, "拾": 10, "百": 100, "佰": 100, "千": 1000, "仟": 1000, "십": 10, "백": 100, "천": 1000}
_LARGE = {
    **{"万": 10**4, "萬": 10**4, "만": 10**4},
    **{"亿": 10**8, "億": 10**8, "억": 10**8},
    **{"兆": 10**12, "조": 10**12},
}
UNITS = _SMALL | _LARGE
"""Units that also follow a number in ASCII digits: 3万, 5천."""

NON_UNIT_WORDS = r"千[克米瓦卡兆赫伏]|兆[字瓦赫]|조[각]|만[큼]|천[천]"
"""Pattern of words that begin with the character of a unit: 千克 (kilogram), 조각 (piece), 만큼 (as much as)."""

_HANGUL = "영공일이삼사오육칠팔구십백천만억조"
_RUN = regex.compile(
    rf"(?:(?!{NON_UNIT_WORDS})[{''.join(character for character in (*_DIGITS, *UNITS) if character not in _HANGUL)}])+"
    rf"|(?:(?!{NON_UNIT_WORDS})[{_HANGUL}]){{2,}}"
)
_FRACTION = regex.compile(r"分(?:之|の)")
_POINT = regex.compile(r"[点點]")


def parse_prefix(text: str) -> tuple[Fraction, int] | None:
    """Parse the numeral at the beginning of a text, including fractions (三分之一) and decimals (三点五).

    A numeral in Hangul must have at least two syllables, one of them a unit.

    Returns:
        The value and the position after the numeral; None if the text begins with no numeral.
    """
    found = _plain(text, 0)
    if found is None:
        return None
    value, place = found
    if match := _FRACTION.match(text, place):
        above = _plain(text, match.end())
        return (above[0] / value, above[1]) if above and value else found
    if (match := _POINT.match(text, place)) and (behind := _RUN.match(text, match.end())):
        digits = [_DIGITS.get(character) for character in behind.group()]
        if None not in digits:
            return value + Fraction(int("".join(map(str, digits))), 10 ** len(digits)), behind.end()
    return found


def _plain(text: str, place: int) -> tuple[Fraction, int] | None:
    match = _RUN.match(text, place)
    if match is None or (match.group()[0] in _HANGUL and not set(match.group()) & UNITS.keys()):
        return None
    value = _value(match.group())
    return None if value is None else (Fraction(value), match.end())


def _value(numeral: str) -> int | None:
    """The value of a numeral; None if it is malformed: 三三十, 十万百万."""
    if not set(numeral) & UNITS.keys():
        return int("".join(str(_DIGITS[character]) for character in numeral))
    total, section, digit, small, large = 0, 0, None, 10**4, 10**16
    for character in numeral:
        if character in _DIGITS:
            if digit:  # two consecutive digits in a numeral with units; a zero marks a skipped unit: 三百零五
                return None
            digit = _DIGITS[character]
        elif character in _SMALL:
            if _SMALL[character] >= small:
                return None
            small = _SMALL[character]
            section, digit = section + (1 if digit is None else digit) * small, None
        else:
            if _LARGE[character] >= large:
                return None
            large, small = _LARGE[character], 10**4
            total, section, digit = total + ((section + (digit or 0)) or 1) * large, 0, None
    return total + section + (digit or 0)


def all_values(text: str) -> set[Fraction]:
    """The values of all substrings that can be read as a numeral, including words that merely look like one."""
    found = (_plain(text, match.start()) for match in _RUN.finditer(text))
    return {value for value, _ in filter(None, found)}
