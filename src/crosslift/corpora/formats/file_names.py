"""Languages and splits in the names of published files: `de/test-00000-of-00001.parquet`, `data/deu_Latn.jsonl`."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache
from itertools import pairwise

from crosslift.errors import UnknownName
from crosslift.languages.cldr import locales
from crosslift.languages.tags import resolve

_CODE = re.compile(r"[a-z]{2,3}([_-][A-Z][a-z]{3})?([_-]([A-Z]{2}|\d{3}))?$")
_NO_CODE = frozenset({"dev", "val", "of", "ref", "src", "sft", "dpo", "new", "all", "set", "raw", "qa", "csv", "tsv"})
_WORDS = frozenset({"am", "an", "as", "in", "is", "it", "my", "no", "or", "to"})
"""Words of English that are also codes of languages; within a name ("my_data") they are words."""
_SUFFIX = re.compile(r"(\.[a-z0-9]{1,8})$")
_SHARD = re.compile(r"-\d+-of-\d+$")


_FURTHER_NAMES = {"tagalog": "fil", "north macedonian": "mk", "mandarin": "zh"}


@cache
def _names() -> dict[str, str]:
    """English name of a language in lower case -> the code of its locale without region."""
    return {one.name.casefold(): tag for tag, one in locales().items() if "-" not in tag} | _FURTHER_NAMES


@cache
def language_of_code(code: str) -> str | None:
    """Return the tag of a language from its code or English name; None if it is neither."""
    code = _names().get(code.casefold(), code)
    if not _CODE.match(code) or code in _NO_CODE:
        return None
    try:
        tag = resolve(code)
    except UnknownName:
        return None
    written = "_" in code or "-" in code or tag.split("-")[0] in locales()
    return tag if written else None  # "toy" is a language, but a file of that name is none in it


def language_of_name(name: str) -> str | None:
    """Return the tag of the language that a file's name or one of its folders names.

    Args:
        name: Path with "/", such as "Albanian/test-00000-of-00001.parquet".

    Returns:
        The tag of the last language in the name; None if there is none.
    """
    for part in reversed(_SUFFIX.sub("", name).split("/")):
        bare = _SHARD.sub("", part)
        whole = [bare, *re.split(r"[.]", bare)]
        pieces = [*whole, *re.split(r"[.\-]", bare), *re.split(r"[.\-_]", bare)]
        for piece in (*pieces, *_pairs(bare)):
            if piece in _WORDS and piece != bare:
                continue
            if tag := language_of_code(piece):
                return _longest(bare, tag)
    return None


def split_of_name(name: str, known: Collection[str]) -> str | None:
    """Return the word for a split in a file's name or one of its folders; None if there is none.

    Args:
        name: Path with "/".
        known: Words for splits, such as "test" and "devtest".
    """
    for part in reversed(name.split("/")):
        words = re.split(r"[.\-_]", part)
        for word in words:
            if word in known:
                return word
    return None


def _pairs(text: str) -> list[str]:
    """Return neighbouring words with their mark: "test_deu_Latn" has "deu_Latn"."""
    words = re.split(r"[_\-]", text)
    return [f"{one}_{other}" for one, other in pairwise(words)]


def _longest(text: str, tag: str) -> str:
    """Prefer a code with script or region, such as zho_Hant, to its first part."""
    found = [longer for pair in _pairs(text) if "_" in pair and (longer := language_of_code(pair))]
    return found[0] if found else tag
