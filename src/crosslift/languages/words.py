r"""Text as a row of units that overlap between two texts can be counted in.

Scripts with spaces: words, combining marks included. `\w+` of Python's `re` would cut Bengali, Telugu and Thai words at
every vowel sign, and the tokenizer of `rouge-score` drops everything outside ASCII. Chinese, Japanese and Thai are
written without spaces: there each user-perceived character is a unit (grapheme cluster, UAX 29), as is usual for
ROUGE on XL-Sum where no segmenter is at hand. Scores of different languages are therefore in different units.
"""

from __future__ import annotations

import unicodedata

import regex

from crosslift.languages.language import Language

_WITHOUT_SPACES = ("Hans", "Hant", "Hani", "Jpan", "Thai", "Laoo", "Khmr", "Mymr")
_WORD = regex.compile(r"[\p{L}\p{M}\p{N}\u200c\u200d]+")
_CLUSTER = regex.compile(r"\X")


def words(text: str, language: Language) -> list[str]:
    """Words, or characters of scripts without spaces; lower case, compatibility forms folded, no punctuation."""
    text = unicodedata.normalize("NFKC", text).casefold()
    found: list[str] = _WORD.findall(text)
    if language.script not in _WITHOUT_SPACES:
        return found
    return [cluster for word in found for cluster in _CLUSTER.findall(word)]
