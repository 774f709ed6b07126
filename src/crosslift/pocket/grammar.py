"""The grammar of the pocket world: one plan, the same sentence in every language.

Real parallel corpora are translations, and a difference between two languages is then partly a difference between
two translators. Here an item is a *plan* (who, what, which numbers, which tool) and each language renders the plan from
its own data file, so that the corpora are exactly parallel and every reference is exact.

A data file holds words, with the forms that its sentences need, and sentence templates. The few rules that a template
cannot hold (which form a count asks for, which particle follows a sound) are here. `data/en.toml` has the notation.
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
    """The form of a noun behind a number of at least 3, by CLDR's plural rules for the language."""
    if counting == "ru":
        if count % 10 == 1 and count % 100 != 11:
            return "one"
        return "few" if count % 10 in (2, 3, 4) and count % 100 not in (12, 13, 14) else "many"
    if counting == "ar":
        return "few" if count % 100 in range(3, 11) else "many"
    return "w"


def _particle(word: str, choices: str) -> str:
    """`은/는`: the first after a consonant, the second after a vowel; the last syllable of a Hangul word tells."""
    closed, opened = choices.split("/")
    syllable = ord(word[-1]) - 0xAC00
    final = syllable % 28 if 0 <= syllable < 11172 else 0
    if closed == "으로":  # after ㄹ the short form
        return closed if final not in (0, 8) else opened
    return closed if final else opened


def _word(entry: str | Word) -> Word:
    return {"w": entry} if isinstance(entry, str) else entry


@dataclass(frozen=True, kw_only=True)
class Grammar:
    """One language of the pocket world."""

    tag: str
    counting: str
    stop: str
    """What ends a sentence; nothing in Thai."""
    comma: str
    """What stands between the words of a list."""
    emphasis: str
    """How a word is stressed: "capitals", or "brackets" where the script has none."""
    words: dict[str, dict[str, Word]]
    """Section ("people", "objects", "cities", ...) -> concept -> word. Concepts are the same in all languages."""
    sentences: dict[str, dict[str, tuple[str, ...]]]
    """Section ("math", "api", "tale", "list") -> sentence -> its wordings."""
    labels: dict[str, str]

    def word(self, section: str, concept: str) -> Word:
        return self.words[section][concept]

    def cite(self, section: str, concept: str) -> str:
        """The citation form: what a record or an API argument holds."""
        return self.words[section][concept]["w"]

    def render(self, section: str, sentence: str, slots: Slots, wording: int = 0) -> str:
        """Fill a sentence template.

        Raises:
            KeyError: the template names a slot or a form that is not there; a test renders every sentence.
        """
        wordings = self.sentences[section][sentence]
        return _SLOT.sub(self._filler(slots), wordings[wording % len(wordings)])

    def join(self, sentences: Sequence[str]) -> str:
        """Sentences in a row: Chinese and Japanese write no space between them."""
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


def capitalised(sentence: str) -> str:
    """The sentence with a capital first letter, where its script has capitals."""
    return sentence[:1].upper() + sentence[1:]


@cache
def tags() -> tuple[str, ...]:
    """The languages of the pocket world, sorted."""
    folder = resources.files("crosslift.pocket") / "data"
    return tuple(sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml")))


@cache
def grammar(tag: str) -> Grammar:
    """Read one language.

    Raises:
        UnknownName: the pocket world does not speak that language.
    """
    if tag not in tags():
        raise UnknownName(
            f"the pocket world has no '{tag}'.{did_you_mean(tag, tags())} It speaks: {', '.join(tags())}."
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
