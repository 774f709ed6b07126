r"""Word segmentation for overlap metrics.

In scripts with spaces a word is a sequence of letters, digits and combining marks. `\w+` of Python's `re` would split
Bengali, Telugu and Thai words at every vowel sign, and the tokenizer of `rouge-score` drops all characters outside
ASCII. Chinese, Japanese, Thai, Lao, Khmer and Burmese are written without spaces and are segmented by ICU (UAX 29 with
dictionaries).
"""

from __future__ import annotations

import unicodedata

import regex

from crosslift.extras import optional
from crosslift.languages.language import Language

_WITHOUT_SPACES = ("Hans", "Hant", "Hani", "Jpan", "Thai", "Laoo", "Khmr", "Mymr")
_WORD = regex.compile(r"[\p{L}\p{M}\p{N}\u200c\u200d]+")


def words(text: str, language: Language) -> list[str]:
    """The words of a text, normalized to NFKC and case-folded, without punctuation."""
    text = unicodedata.normalize("NFKC", text).casefold()
    if language.script in _WITHOUT_SPACES:
        with optional():
            from icu4py.breakers import WordBreaker
        return [word for part in WordBreaker(text, language.tag) for word in _WORD.findall(part)]
    found: list[str] = _WORD.findall(text)
    return found
