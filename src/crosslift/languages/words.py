r"""Text as a row of units that overlap between two texts can be counted in.

Scripts with spaces: words, combining marks included. `\w+` of Python's `re` would cut Bengali, Telugu and Thai words at
every vowel sign, and the tokenizer of `rouge-score` drops everything outside ASCII. Chinese, Japanese, Thai, Lao, Khmer
and Burmese are written without spaces: there ICU's dictionaries cut the words (UAX 29 with the dictionaries of CLDR).
"""

from __future__ import annotations

import unicodedata

import regex

from crosslift.extras import optional
from crosslift.languages.language import Language

_WITHOUT_SPACES = ("Hans", "Hant", "Hani", "Jpan", "Thai", "Laoo", "Khmr", "Mymr")
_WORD = regex.compile(r"[\p{L}\p{M}\p{N}\u200c\u200d]+")


def words(text: str, language: Language) -> list[str]:
    """Words in lower case, compatibility forms folded, no punctuation."""
    text = unicodedata.normalize("NFKC", text).casefold()
    if language.script in _WITHOUT_SPACES:
        with optional():
            from icu4py.breakers import WordBreaker
        return [word for part in WordBreaker(text, language.tag) for word in _WORD.findall(part)]
    found: list[str] = _WORD.findall(text)
    return found
