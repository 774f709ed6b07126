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
_CJK = "".join(character for character in (*_DIGITS, *UNITS) if character not in _HANGUL and character != "○")
_CJK_BUT_ONE = "".join(character for character in _DIGITS if character not in _HANGUL + "〇○零一壹壱")
_NO_NUMERAL_AFTER = (
    "第",
    "初",
    "周",
    "週",
    "星期",
    "礼拜",
    "禮拜",
    "之",
    "分",
    "分之",
    "分の",
    "点",
    "點",
    ".",
    "·",
    "几",
    "数",
    "數",
    "上",
    "好几",
)
"""What before a numeral makes it an ordinal, a weekday, a part or an unknown amount: 第二, 周三, 三分之二, 几十."""
_NO_NUMERALS = ("千万", "百万", "万千", "万一", "千百", "千萬", "百萬", "萬千", "萬一")
"""Words of such characters that say "many" or "if"."""
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


_CLASSIFIERS = (
    "個|个|只|隻|匹|頭|头|本|冊|册|枚|张|張|块|塊|支|枝|条|條|颗|顆|粒|件|套|双|雙|对|對|台"
    "|辆|輛|人|名|位|岁|歲|歳|元|円|角|分钟|分鐘|小时|小時|時間|天|周|月|年|年间|公里|千米|米|厘米|公斤|千克|克|つ"
)
_SUFFIX = regex.compile(
    rf"(?:(?P<long>[{_CJK}]{{2,}})(?:{_CLASSIFIERS})?|(?P<short>[{_CJK_BUT_ONE}])(?:{_CLASSIFIERS}))$"
)


def parse_suffix(line: str) -> Fraction | None:
    """The numeral in Chinese characters with which a line ends, glued to its classifier: 一共有二十四个 is 24.

    A single character needs a classifier, and one is an article (一个人, a person). Characters before the numeral that
    could belong to a word with it (第二, 万一, 十分) keep it from being read.
    """
    match = _SUFFIX.search(line)
    if match is None or line[: match.start()].endswith(_NO_NUMERAL_AFTER):
        return None
    digits = match["long"] or match["short"]
    if digits in _NO_NUMERALS:
        return None
    value = _value(digits)
    return None if value is None or (match["long"] and not set(digits) & UNITS.keys()) else Fraction(value)


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
