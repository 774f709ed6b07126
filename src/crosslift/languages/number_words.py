"""Number words, read backwards from ICU's rules for spelling numbers ("eighteen", "dix-huit", "เจ็ด").

ICU spells numbers in some eighty languages (CLDR's rule-based number formats) but icu4py offers no parser. Words are
therefore read by synthesis: all values up to 9,999 are spelled once per language, in every gender, case and style that
the language has, and looked up. A larger number is split into a spelled multiple of a power of ten and a remainder, and
counts only if its own spelling gives the same words, so that nothing is read that ICU would not write. A spelling that
two values share is not read at all.

Words are compared in lower case, without hyphens and commas between them and without marks that are not shown.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from typing import Any

import regex

from crosslift.extras import optional
from crosslift.languages.language import Language

SMALL = 10_000
"""Values below are looked up."""
LARGEST = 10**15
_POWERS = ((10**3, 999), (10**4, 9999), (10**6, 999), (10**7, 999), (10**8, 9999), (10**9, 999), (10**11, 999), (10**12, 999))
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

_WORD_GAP = regex.compile(r"[\s\-‐‑,،、]+")
_NOT_SHOWN = regex.compile(r"[\p{Cf}\u00ad]")
_LETTER = regex.compile(r"[\p{L}\p{M}\p{N}]")


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
    key = _key(text)
    if key in _table(tag):
        return _table(tag)[key]
    if not key or key[0] not in _first_letters(tag):
        return None
    return next((value for value in _split(key, tag, LARGEST) if key in map(_key, spellings(value, tag))), None)


def _split(key: str, tag: str, below: int) -> Iterator[int]:
    """Values that a text may spell: a multiple of a power of ten, and what the rest of the text spells."""
    if key in _table(tag) and _table(tag)[key] < below:
        yield _table(tag)[key]
    for value, end in _beginnings(key, tag):
        if value >= below:
            continue
        if end == len(key):
            yield value
        power = 10 ** (len(str(value)) - len(str(value).rstrip("0")))
        for gap in range(min(MAX_LINK, len(key) - end)):  # "and", et, و or 零 between the two
            for rest in _split(key[end + gap :], tag, min(power, value)):
                yield value + rest


def _beginnings(key: str, tag: str) -> Iterator[tuple[int, int]]:
    """Multiples of powers of ten that a text may begin with, and where they end; the longest first."""
    heads = _heads(tag)
    for end in range(len(key), 0, -1):
        for value in heads.get(key[:end], ()):
            yield value, end
    for word, power in _scale_words(tag).items():  # "dos mil cuarenta y seis millones", where a million millions is one
        place = key.find(word, 1)
        while place > 0:
            multiple = _table(tag).get(key[:place].strip()) or next(_split(key[:place].strip(), tag, 10**9), 0)
            if multiple >= 1000:
                yield multiple * power, place + len(word)
            place = key.find(word, place + 1)


MAX_LINK = 14
"""Characters between the parts of a number."""


def _key(text: str) -> str:
    """The form in which spellings are compared."""
    text = _NOT_SHOWN.sub("", unicodedata.normalize("NFKC", text)).casefold().replace("’", "'")
    return _WORD_GAP.sub(" ", text).strip()


@cache
def _spellers(tag: str) -> tuple[Any, ...]:
    """ICU's formats of a language that differ from each other; none if ICU falls back to English.

    Raises:
        MissingPackage: icu4py is not installed.
    """
    with optional():
        from icu4py.messageformat import MessageFormat
    english = _spelled(MessageFormat("{n, spellout}", "en"))
    found: dict[tuple[str, ...], Any] = {}
    for form in _FORMS:
        rules = f",%spellout-{form}" if form else ""  # a space after the comma would be part of the name
        speller = MessageFormat(f"{{n, spellout{rules}}}", tag)
        spelled = _spelled(speller)
        if not form and ((spelled == english) != (tag.split("-")[0] == "en") or any(map(str.isdigit, spelled))):
            return ()
        found.setdefault(spelled, speller)
    return tuple(found.values())


def _spelled(speller: Any) -> tuple[str, ...]:
    return tuple(speller.format({"n": value}) for value in _PROBES)


@cache
def _table(tag: str) -> dict[str, int]:
    """Spelling -> value for all values below SMALL, without spellings of two values."""
    found: dict[str, int] = {}
    double = set()
    for speller in _spellers(tag):
        for value in range(SMALL):
            key = _key(speller.format({"n": value}))
            if found.setdefault(key, value) != value:
                double.add(key)
    return {key: value for key, value in found.items() if key not in double}


@cache
def _heads(tag: str) -> dict[str, tuple[int, ...]]:
    """Spelling -> values, for the multiples of powers of ten that larger numbers begin with."""
    found: dict[str, tuple[int, ...]] = {}
    for speller in _spellers(tag):
        one = _key(speller.format({"n": 1}))
        for power, most in _POWERS:
            for value in range(power, most * power + 1, power):
                alone, before_one = (_key(speller.format({"n": n})) for n in (value, value + 1))
                for key in {alone, before_one.removesuffix(one).strip()}:  # Georgian ათასი, but ათას ერთი
                    if value not in found.get(key, ()):
                        found[key] = (*found.get(key, ()), value)
    return found


@cache
def _scale_words(tag: str) -> dict[str, int]:
    """What follows a multiple in the spellings of millions and more: " millones", "ล้าน" -> the power of ten."""
    found: dict[str, int] = {}
    for speller in _spellers(tag):
        for power in (10**6, 10**7, 10**9, 10**12):
            for multiple in (2, 5, 21, 132, 2000, 2046):
                alone, scaled = (_key(speller.format({"n": n})) for n in (multiple, multiple * power))
                if scaled.startswith(alone) and len(scaled) > len(alone) + 1:
                    found.setdefault(scaled.removeprefix(alone), power)
    return found


@cache
def _first_letters(tag: str) -> frozenset[str]:
    return frozenset(key[0] for key in (*_table(tag), *(_key(one) for power, _ in _POWERS for one in spellings(power, tag))) if key)
