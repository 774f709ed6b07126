"""Number words, read backwards from ICU's rules for spelling numbers ("eighteen", "dix-huit", "สิบแปด").

ICU spells numbers in some eighty languages (CLDR's rule-based number formats), but icu4py offers no parser. Words are
therefore read by synthesis: all values up to 9,999 are spelled once per language, in every gender, case and style that
the language has, and looked up. A larger number is split into a spelled multiple of a power of ten and a remainder, and
counts only if its own spelling gives the same words, so that nothing is read that ICU would not write. A spelling that
two values share is not read at all.

Words are compared in lower case, without gaps between them and without marks that are not shown. A text may leave out a
gap ("onbir", "quatre vingts"), and may have one only where ICU has a space, a hyphen or a place to break the word.
Links ("and", et, i) may be left out.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import cache
from itertools import pairwise, takewhile
from typing import Any

import regex

from crosslift.extras import optional
from crosslift.languages.language import Language

SMALL = 10_000
"""Values below are looked up."""
LARGEST = 10**15
MAX_LINK = 12
"""Characters between the parts of a number, without gaps."""
MAX_STEPS = 3_000
"""Splits that are tried for one number; the largest numbers need up to two thousand."""
MAX_STYLES = 3
"""Genders, cases and styles in which numbers above 9,999 are read; the first is the usual one."""
MAX_LENGTH = 250
"""Characters of a spelled number."""
_POWERS = (
    *((10**3, 999), (10**4, 9999), (10**6, 999), (10**7, 999), (10**8, 9999), (10**9, 999), (10**11, 999)),
    (10**12, 999),
)
"""Power of ten, and its largest multiple that is spelled as one piece: thousand, 万, million, crore, 億 ..."""

_STYLES = ("", "numbering-verbose", "cardinal", "cardinal-verbose", "cardinal-native", "cardinal-native-attributive")
_GENDERS = ("masculine", "feminine", "neuter", "common", "n", "r", "s", "m")
_CASES = ("genitive", "accusative", "dative", "construct", "personal")
_FORMS = (
    *_STYLES,
    *(f"cardinal-{gender}" for gender in _GENDERS),
    *(f"cardinal-{case}" for case in _CASES),
    *(f"cardinal-{gender}-{case}" for gender in ("masculine", "feminine", "neuter") for case in _CASES),
)
"""Names of ICU's rule sets after "%spellout-"; a language has some of them, and the default stands for the rest."""
_PROBES = (1, 2, 3, 7, 12, 21, 100, 1000, 1234)

_BREAKS = "\u00ad\u200b\u200c\u200d\u2060"
"""Characters that are not shown, at places where a word may be divided."""
_GAPS = regex.compile(rf"[\s\-‐‑,،、{_BREAKS}]+")
"""What separates words of a number, or may separate them."""
_NOT_SHOWN = regex.compile(rf"[{_BREAKS}\p{{Cf}}]")
_SAME_AS = str.maketrans({
    **dict.fromkeys("’ʼʻ`", "'"), **dict.fromkeys("أإآٱ", "ا"), "ى": "ي",
    **dict.fromkeys(map(chr, range(0x64B, 0x653))),  # Arabic vowel marks
})  # fmt: skip
_WITHOUT_GAPS = str.maketrans(dict.fromkeys(f" \u00a0\n\t-‐‑,،、{_BREAKS}"))
_HAS_CASE = regex.compile(r"[\p{Lu}\p{Ll}]")


def has_number_words(language: Language) -> bool:
    """Whether ICU spells numbers in the language.

    Raises:
        MissingPackage: icu4py is not installed.
    """
    return bool(_spellers(language.tag))


def spellings(value: int, tag: str) -> tuple[str, ...]:
    """All spellings of a value in a language, as ICU writes them; empty if ICU spells no numbers in it.

    Raises:
        MissingPackage: icu4py is not installed.
    """
    return tuple(dict.fromkeys(speller.format({"n": value}) for speller in _spellers(tag)))


def parse_number_words(text: str, tag: str) -> int | None:
    """The value of a text that is one spelled number; None if it is anything else.

    Raises:
        MissingPackage: icu4py is not installed.
    """
    key, breaks = _joined(_NOT_SHOWN.sub("", text))
    if not key or len(key) > MAX_LENGTH or not _begins_number(key, tag):
        return None
    if key in _table(tag):
        return _table(tag)[key] if _is_written(key, breaks, _table(tag)[key], tag) else None
    if not any(word in key for word in _large_words(tag)):
        return None
    steps = iter(range(MAX_STEPS))
    return next((value for value in _split(key, tag, LARGEST, steps) if _is_written(key, breaks, value, tag)), None)


def may_begin_number(text: str, tag: str) -> bool:
    """Whether a text begins like a spelled number, which most texts do not.

    Raises:
        MissingPackage: icu4py is not installed.
    """
    return _begins_number(_joined(_NOT_SHOWN.sub("", text[:80]))[0], tag)


def may_end_number(text: str, tag: str) -> bool:
    """Whether a text ends like a spelled number, which most texts do not.

    Raises:
        MissingPackage: icu4py is not installed.
    """
    key = _joined(_NOT_SHOWN.sub("", text[-80:]))[0]
    return any(key[-length:] in _endings(tag) for length in (1, 2, 3))


def _is_written(key: str, breaks: frozenset[int], value: int, tag: str) -> bool:
    """Whether a value is spelled so, with gaps only where its spelling may have them."""
    if not breaks and _table(tag).get(key) == value:
        return True
    return any(key == written and breaks <= places for written, places in map(_joined, _variants(value, tag)))


def _joined(text: str) -> tuple[str, frozenset[int]]:
    """The form in which spellings are compared, and the places of the gaps in it."""
    parts = [part for part in _GAPS.split(_plain(text)) if part]
    places, length = set(), 0
    for part in parts[:-1]:
        length += len(part)
        places.add(length)
    return "".join(parts), frozenset(places)


def _plain(text: str) -> str:
    return text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold().translate(_SAME_AS)


def _key(text: str) -> str:
    return _plain(text).translate(_WITHOUT_GAPS)


def _variants(value: int, tag: str) -> Iterator[str]:
    """The spellings of a value, with and without links."""
    links = _links(tag)
    for one in spellings(value, tag):
        yield one
        if links:
            yield _without_links(one, links)


def _without_links(spelled: str, links: frozenset[str]) -> str:
    return " ".join(word for word in spelled.split() if _plain(word) not in links)


def _split(key: str, tag: str, below: int, steps: Iterator[int]) -> Iterator[int]:
    """Values that a text may spell: a multiple of a power of ten, and what the rest of the text spells.

    Each call takes one of the `steps`, and without any left nothing is found: the ways to split "million million ..."
    grow exponentially.
    """
    if next(steps, None) is None:
        return
    if _table(tag).get(key, below) < below:
        yield _table(tag)[key]
    for value, end in _beginnings(key, tag, steps):
        if value >= below:
            continue
        if end == len(key):
            yield value
        power = 10 ** (len(str(value)) - len(str(value).rstrip("0")))
        for gap in range(min(MAX_LINK, len(key) - end)):  # "and", et, و or 零 between the two
            for rest in _split(key[end + gap :], tag, min(power, value), steps):
                yield value + rest


def _beginnings(key: str, tag: str, steps: Iterator[int]) -> Iterator[tuple[int, int]]:
    """Multiples of powers of ten that a text may begin with, and where they end; the longest first."""
    heads = _heads(tag)
    for end in range(len(key), 0, -1):
        for value in heads.get(key[:end], ()):
            yield value, end
    for word, power in _scale_words(tag).items():  # "dos mil cuarenta y seis millones", where a million millions is one
        place = key.find(word, 1)
        while place > 0:
            multiple = _table(tag).get(key[:place]) or next(_split(key[:place], tag, 10**9, steps), 0)
            if multiple >= 1000:
                yield multiple * power, place + len(word)
            place = key.find(word, place + 1)


@cache
def _spellers(tag: str) -> tuple[Any, ...]:
    """ICU's formats of a language that differ from each other; none if ICU falls back to English.

    Raises:
        MissingPackage: icu4py is not installed.
    """
    with optional():
        from icu4py.messageformat import MessageFormat
    english = () if tag.split("-", maxsplit=1)[0] == "en" else _spelled(_spellers("en")[0])
    found: dict[tuple[str, ...], Any] = {}
    for form in _FORMS:
        rules = f",%spellout-{form}" if form else ""  # a space after the comma would be part of the name
        speller = MessageFormat(f"{{n, spellout{rules}}}", tag)
        spelled = _spelled(speller)
        if not form and (spelled == english or any(map(str.isdigit, "".join(spelled)))):
            return ()
        found.setdefault(spelled, speller)
    return tuple(found.values())


def _spelled(speller: Any) -> tuple[str, ...]:
    return tuple(speller.format({"n": value}) for value in _PROBES)


@cache
def _table(tag: str) -> dict[str, int]:
    """Spelling -> value for all values below SMALL, without spellings of two values."""
    found: dict[str, int] = {}
    shorter: dict[str, int] = {}
    double = set()
    links = _links(tag)
    for speller in _spellers(tag):
        for value in range(SMALL):
            spelled = speller.format({"n": value})
            key = _key(spelled)
            if found.setdefault(key, value) != value:
                double.add(key)
            if links:
                shorter[_key(_without_links(spelled, links))] = value
    double |= {key for key, value in shorter.items() if found.get(key, value) != value}
    return {key: value for key, value in (shorter | found).items() if key not in double}


@cache
def _endings(tag: str) -> frozenset[str]:
    """The last letters of spelled numbers, three or as many as there are."""
    large = (multiple * power for power, _ in _POWERS for multiple in (1, 2, 3, 5, 6, 21))
    spelled = (_key(one) for value in large for one in spellings(value, tag))
    return frozenset(key[-3:] for key in (*_table(tag), *spelled))


@cache
def _links(tag: str) -> frozenset[str]:
    """Words in spellings that are no numbers themselves, which many writers leave out: "and", et, i, og."""
    rounds = (*range(21), *range(30, 101, 10), *range(200, 1001, 100), 2000, 10**6)
    numbers = {word for value in rounds for one in spellings(value, tag) for word in _GAPS.split(_plain(one))}
    joined = (one for value in (21, 31, 41, 101, 105) for one in spellings(value, tag))
    return frozenset(word for one in joined for word in _plain(one).split()[1:-1]) - numbers


@cache
def _heads(tag: str) -> dict[str, tuple[int, ...]]:
    """Spelling -> values, for the multiples of powers of ten that larger numbers begin with."""
    found: dict[str, tuple[int, ...]] = {}
    for speller in _spellers(tag)[:MAX_STYLES]:
        one = _key(speller.format({"n": 1}))
        for power, most in _POWERS:
            for value in range(power, most * power + 1, power):
                alone, before_one = (_key(speller.format({"n": n})) for n in (value, value + 1))
                for key in {alone, before_one.removesuffix(one)}:  # Georgian ათასი, but ათას ერთი
                    if value not in found.get(key, ()):
                        found[key] = (*found.get(key, ()), value)
    return found


@cache
def _scale_words(tag: str) -> dict[str, int]:
    """What follows a multiple in the spellings of millions and more: "millones", "ล้าน" -> the power of ten."""
    found: dict[str, int] = {}
    for speller in _spellers(tag):
        for power in (10**6, 10**7, 10**9, 10**12):
            for multiple in (2, 5, 21, 132, 2000, 2046):
                alone, scaled = (_key(speller.format({"n": n})) for n in (multiple, multiple * power))
                if scaled.startswith(alone) and len(scaled) > len(alone):
                    found.setdefault(scaled.removeprefix(alone), power)
    return found


@cache
def _large_words(tag: str) -> frozenset[str]:
    """What spellings of thousands and more contain: "thousand", "tysięcy", "elfu". Looking for it saves `_heads`."""
    found = set()
    for speller in _spellers(tag):
        for power, _ in _POWERS:
            keys = [_key(speller.format({"n": multiple * power})) for multiple in (1, 2, 3, 5, 6, 21)]
            found |= {keys[0], _key(speller.format({"n": power + 1})).removesuffix(_key(speller.format({"n": 1})))}
            for one, other in pairwise(keys[1:]):
                found |= {_shared_start(one, other), _shared_start(one[::-1], other[::-1])[::-1]}
    return frozenset(word for word in found if len(word) > 1 or (word and not _HAS_CASE.match(word)))


def _shared_start(one: str, other: str) -> str:
    same = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return "".join(first for first, _ in same)


@cache
def _first_words(tag: str) -> frozenset[str]:
    """The spellings with which the spelling of every number begins."""
    basic = (*range(21), *range(30, 101, 10), *range(200, 1001, 100), *(power for power, _ in _POWERS))
    large = (multiple * power for power, _ in _POWERS for multiple in (2, 3, 5, 6, 8, 21))
    values = (*range(2000), *range(2000, SMALL, 100), *large)
    first = {_key(_GAPS.split(one.strip(_BREAKS), maxsplit=1)[0]) for value in values for one in spellings(value, tag)}
    return frozenset({_key(one) for value in basic for one in spellings(value, tag)} | first)


@cache
def _longest_first_word(tag: str) -> int:
    return max(map(len, _first_words(tag)), default=0)


def _begins_number(key: str, tag: str) -> bool:
    words = _first_words(tag)
    return any(key[:end] in words for end in range(1, min(len(key), _longest_first_word(tag)) + 1))


def forget() -> None:
    """Give back the memory of all tables, some 10 MB a language."""
    for cached in (_table, _heads, _scale_words, _large_words, _first_words, _longest_first_word, _links, _endings):
        cached.cache_clear()
