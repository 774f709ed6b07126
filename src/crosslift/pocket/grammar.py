"""Grammar of the pocket world, a synthetic multilingual corpus: sentences rendered from language-independent plans.

Real parallel corpora are translations, so a difference between two languages is partly a difference between two
translators. Here an item is a *plan* (persons, objects, numbers, tools), and each language renders the plan from its
own data file. The corpora are therefore exactly parallel, and every reference is exact.

A data file contains words, with the inflected forms that its sentences use, and sentence templates. The few rules that
templates cannot express (plural forms after numbers, particles that depend on the preceding sound) are in this module.
`data/en.toml` documents the notation.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from crosslift.errors import UnknownName, did_you_mean

Word = Mapping[str, str]
Slots = Mapping[str, Word | str | int]

_SLOT = re.compile(r"\{(?P<name>\w+)(?:\.(?P<form>\w+)|#(?P<count>\w+)|:(?P<genders>[^{}]+)|\+(?P<particle>[^{}]+))?\}")
_GENDERS = "mfn"


def _form_for_count(counting: str, count: int) -> str:
    """The plural category of a noun after a number of at least 3, by CLDR's plural rules for the language."""
    if counting == "ru":
        if count % 10 == 1 and count % 100 != 11:
            return "one"
        return "few" if count % 10 in (2, 3, 4) and count % 100 not in (12, 13, 14) else "many"
    if counting == "ar":
        return "few" if count % 100 in range(3, 11) else "many"
    return "w"


def _particle(word: str, choices: str) -> str:
    """The Korean particle after a word: of `은/는` the first after a final consonant, the second after a vowel."""
    closed, opened = choices.split("/")
    syllable = ord(word[-1]) - 0xAC00
    final = syllable % 28 if 0 <= syllable < 11172 else 0
    if closed == "으로":  # the short form also follows ㄹ
        return closed if final not in (0, 8) else opened
    return closed if final else opened


def _word(entry: str | Word) -> Word:
    return {"w": entry} if isinstance(entry, str) else entry


@dataclass(frozen=True, kw_only=True)
class Grammar:
    """Words and sentence templates of one language of the pocket world."""

    tag: str
    counting: str
    """Plural rule: "ru", "ar" or any other value for languages with one form after numbers."""
    stop: str
    """Sentence-final punctuation; empty in Thai."""
    comma: str
    """Separator of the words of a list."""
    emphasis: str
    """How words are emphasized: "capitals", or "brackets" in scripts without capitals."""
    words: dict[str, dict[str, Word]]
    """Section ("people", "objects", "cities", ...) -> concept -> word. Concepts are the same in all languages."""
    sentences: dict[str, dict[str, tuple[str, ...]]]
    """Section ("math", "api", "tale", "list") -> sentence -> templates of its wordings."""
    labels: dict[str, str]
    """Key -> word for headings and field names."""

    def word(self, section: str, concept: str) -> Word:
        """The word for a concept: form -> text."""
        return self.words[section][concept]

    def citation_form(self, section: str, concept: str) -> str:
        """The citation form of a concept, as used in records and API arguments."""
        return self.words[section][concept]["w"]

    def render(self, section: str, sentence: str, slots: Slots, wording: int = 0) -> str:
        """Fill a sentence template.

        Args:
            section: section of the sentence.
            sentence: name of the sentence.
            slots: slot -> word, text or number.
            wording: index of the wording, modulo the number of wordings.

        Raises:
            KeyError: the template uses a missing slot or word form. A test renders every sentence.
        """
        wordings = self.sentences[section][sentence]
        return _SLOT.sub(self._filler(slots), wordings[wording % len(wordings)])

    def join(self, sentences: Sequence[str]) -> str:
        """Join sentences with spaces, or without in Chinese and Japanese."""
        return ("" if self.tag in ("zh", "ja") else " ").join(sentences)

    def _filler(self, slots: Slots) -> Callable[[re.Match[str]], str]:
        def fill(match: re.Match[str]) -> str:
            value = slots[match["name"]]
            word = {"w": str(value)} if isinstance(value, (str, int)) else value
            if match["form"]:
                return word[match["form"]]
            if match["genders"]:
                return match["genders"].split("|")[_GENDERS.index(word["g"])]
            if match["particle"]:
                return word["w"] + _particle(word["w"], match["particle"])
            if match["count"]:
                count = slots[match["count"]]
                assert isinstance(count, int)
                return word[_form_for_count(self.counting, count)]
            return word["w"]

        return fill


def capitalize(sentence: str) -> str:
    """Capitalize the first letter of a sentence; no effect in scripts without capitals."""
    return sentence[:1].upper() + sentence[1:]


@cache
def tags() -> tuple[str, ...]:
    """Tags of the languages of the pocket world, sorted."""
    folder = resources.files("crosslift.pocket") / "data"
    return tuple(sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml")))


@cache
def grammar(tag: str) -> Grammar:
    """Load the grammar of one language.

    Raises:
        UnknownName: the pocket world does not have the language.
    """
    if tag not in tags():
        raise UnknownName(
            f"the pocket world has no language '{tag}'.{did_you_mean(tag, tags())} It has: {', '.join(tags())}."
        )
    text = (resources.files("crosslift.pocket") / "data" / f"{tag}.toml").read_text(encoding="utf-8")
    data: dict[str, Any] = tomllib.loads(text)
    sentences = {
        section: {name: (text,) if isinstance(text, str) else tuple(text) for name, text in data.pop(section).items()}
        for section in ("math", "api", "tale", "list")
    }
    return Grammar(
        tag=tag,
        counting=data.pop("counting"),
        stop=data.pop("stop"),
        comma=data.pop("comma"),
        emphasis=data.pop("emphasis"),
        labels=data.pop("labels"),
        words={section: {key: _word(entry) for key, entry in entries.items()} for section, entries in data.items()},
        sentences=sentences,
    )
