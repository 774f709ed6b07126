"""Spelled numerals in running text: where one begins a text, and where one ends it.

Words that spell numbers are also other words ("one", "un", Turkish "on", German "acht"), so that numerals are read at
two places only: right after a cue such as "The answer is", and at the very end of a text. The caller decides which.
Characters (二十四, 이십사) are read by `han`, words ("eighteen", "열여덟") by `number_words`.
"""

from __future__ import annotations

from fractions import Fraction

import regex

from crosslift.languages.language import Language
from crosslift.languages.numbers import han
from crosslift.languages.numbers.number_words import may_begin_number, may_end_number, parse_number_words

WITHOUT_SPACES = ("Thai", "Laoo", "Khmr", "Mymr")
"""Scripts in which words are glued, so that a numeral ends where the longest one ends."""
MAX_WORDS = 16
"""Of one numeral. "Two hundred and thirty-four thousand five hundred and sixty-seven" has ten."""
MIN_LETTERS = 4
"""Letters and marks of a numeral at the end of a sentence that no phrase announces."""
MAX_FURTHER = 2
"""Words after a numeral that begins a sentence: "eighteen red apples"."""

_SENTENCE = regex.compile(r"[^\n.!?;:。！？।॥။։؟…]*")
_LETTER = regex.compile(r"[\p{L}\p{M}\p{N}]")
_WORD = regex.compile(r"[\p{L}\p{M}\p{N}'’]+")
_HANGUL_ENDING = regex.compile(
    r" ?(?:개|명|원|살|마리|권|장|대|시간|분|일|년)?(?:입니다|이다|이에요|예요|이고)?(?![\p{L}])"
)
_CLOSING = " \t.。!！*_`'\")」』”’"
"""Characters after the last word of a text."""


def numeral_at_start(text: str, language: Language) -> tuple[Fraction, int] | None:
    """The numeral in words with which a text begins, if its sentence has hardly any further words and no digit.

    "One" and its like are articles in many languages, and count only if nothing follows.

    Args:
        text: a folded text that begins where an answer is expected.
        language: the language whose words are read.

    Returns:
        The value and the position after the numeral; None if the text begins with no such numeral.

    Raises:
        MissingPackage: icu4py is not installed, and the text begins like a number word.
    """
    sentence = _SENTENCE.match(text).group()
    if any(map(str.isdigit, sentence)) or not may_begin_number(sentence, language.tag):
        return None
    if language.script in WITHOUT_SPACES:
        return _glued(sentence, language)
    if text[len(sentence) :].partition("\n")[0].strip(_CLOSING + "?;:…"):  # more sentences on the line
        short = _read(sentence, language)
        if short is not None and short <= 1:
            return None  # "En. Merriweather", an abbreviation
    ends = [match.end() for _, match in zip(range(MAX_WORDS), _WORD.finditer(sentence), strict=False)]
    if language.script == "Kore":
        return next((found for end in reversed(ends) if (found := _hangul(sentence[:end], sentence, language))), None)
    return _spaced(sentence, ends, language)


def _spaced(sentence: str, ends: list[int], language: Language) -> tuple[Fraction, int] | None:
    """The longest numeral that ends where a word ends."""
    for end in reversed(ends):
        value = _read(sentence[:end], language)
        if value is not None:
            further = _WORD.findall(sentence, end)
            if any(_read(word, language) is not None for word in further):
                return None  # a part of a numeral that is spelled in another way
            glued = sentence[end : end + 1] in ("-", "’", "'")
            allowed = 0 if value <= 1 else MAX_FURTHER
            return None if glued or len(further) > allowed else (Fraction(value), end)
    return None


def numeral_at_end(text: str, language: Language) -> Fraction | None:
    """The numeral in words or characters with which the last line of a text ends; None if it ends with none.

    A line of one numeral and at most two further words counts as well: "eighteen red apples."

    Raises:
        MissingPackage: icu4py is not installed, and the line ends like a number word.
    """
    line = text.rstrip().rpartition("\n")[2].strip(_CLOSING)
    characters = han.parse_suffix(line) if language.script in ("Hans", "Hant", "Jpan") else None
    if characters is not None:
        return characters
    whole = numeral_at_start(line, language)
    if whole is not None:
        return whole[0]
    if language.script in (*WITHOUT_SPACES, "Kore", "Hans", "Hant", "Jpan"):
        return None
    if not may_end_number(line, language.tag):
        return None
    words = list(_WORD.finditer(line))[-MAX_WORDS:]
    for index, word in enumerate(words if words and words[-1].end() == len(line) else ()):
        before = line[word.start() - 1 : word.start()]
        if before in ("", " ", "\t", "*", "(", '"', "=") and may_begin_number(word.group(), language.tag):
            value = _read(line[word.start() :], language)
            if value is not None:
                part = index > 0 and _read(words[index - 1].group(), language) is not None
                # A sentence may end with "one" or "none"; short words are often others: Nepali छ is "is" and 6.
                short = len(_LETTER.findall(line, word.start())) < MIN_LETTERS
                return None if part or short or value <= 1 else Fraction(value)
    return None


def _read(words: str, language: Language) -> int | None:
    """The value of a spelled number. A comma stands only within thousands: "one thousand, two hundred"."""
    value = parse_number_words(words, language.tag)
    return None if value is None or ("," in words and value < 1000) else value


def _glued(sentence: str, language: Language) -> tuple[Fraction, int] | None:
    for end in range(min(len(sentence), 120), 1, -1):
        if sentence[end : end + 1] and regex.match(r"\p{M}", sentence[end]):
            continue
        value = _read(sentence[:end], language)
        if value is not None:
            rest = len(_LETTER.findall(sentence[end:]))
            return None if rest > MAX_GLUED or (value <= 1 and rest) else (Fraction(value), end)
    return None


MAX_GLUED = 12
"""Letters and marks of a classifier and its noun after a numeral in a script without spaces."""


def _hangul(words: str, sentence: str, language: Language) -> tuple[Fraction, int] | None:
    """A numeral of native words, which particles and counters follow without a space: 열여덟입니다."""
    for end in range(len(words), 1, -1):
        value = parse_number_words(words[:end], language.tag)
        if value is not None and value > 1 and (ending := _HANGUL_ENDING.match(sentence, end)):
            return (Fraction(value), end) if ending.end() >= len(sentence.rstrip(_CLOSING)) else None
    return None
