"""Lists of words under demands that a program can verify: how many, of what kind, in what form, which first, which not.

Many answers are right; `answer` is one of them, and `demands` says what every right one must hold. Words that must be
stressed stand in capitals, in scripts without capitals in brackets.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from crosslift.pocket.grammar import Grammar

SECTIONS = ("animals", "colours", "foods", "cities", "days")


@dataclass(frozen=True, kw_only=True)
class WordList:
    section: str
    concepts: tuple[str, ...]
    """One right answer, in order."""
    layout: Literal["commas", "numbered"]
    emphasis: bool
    first: bool
    """The first word is asked for."""
    without: str | None
    """A concept of the section that must not be named."""


def make(rng: np.random.Generator, language: Grammar) -> WordList:
    section = SECTIONS[int(rng.integers(len(SECTIONS)))]
    concepts = list(language.words[section])
    size = int(rng.integers(2, 6))
    *chosen, other = (concepts[index] for index in rng.choice(len(concepts), size=size + 1, replace=False))
    return WordList(
        section=section,
        concepts=tuple(chosen),
        layout="commas" if rng.random() < 0.5 else "numbered",
        emphasis=bool(rng.random() < 0.5),
        first=bool(rng.random() < 0.5),
        without=other if rng.random() < 0.5 else None,
    )


def in_usual_order(wordlist: WordList, language: Grammar) -> WordList:
    """The same demands with the answer that most people give: the words in the order of the section, from the first
    that is asked for. Where an example draws its words at random, a model learns to draw, and its likeliest next word
    is one that it has said before.
    """
    order = list(language.words[wordlist.section])
    start = order.index(wordlist.concepts[0]) if wordlist.first else 0
    words = [concept for concept in order[start:] + order[:start] if concept != wordlist.without]
    return replace(wordlist, concepts=tuple(words[: len(wordlist.concepts)]))


def skeleton(wordlist: WordList) -> str:
    """What makes it a problem: everything that is asked for, and nothing of the answer that is not."""
    first = wordlist.concepts[0] if wordlist.first else "-"
    form = f"{wordlist.layout},{wordlist.emphasis}"
    return f"{wordlist.section},{len(wordlist.concepts)},{form},{first},{wordlist.without or '-'}"


def instructions(wordlist: WordList, language: Grammar) -> list[str]:
    """One sentence for each demand, the topic first."""
    slots: dict[str, str | int] = {"k": language.labels[wordlist.section], "a": len(wordlist.concepts)}
    names = ["topic", "number", wordlist.layout]
    if wordlist.emphasis:
        names.append("emphasis")
    if wordlist.first:
        names.append("first")
        slots["w"] = language.cite(wordlist.section, wordlist.concepts[0])
    if wordlist.without:
        names.append("without")
        slots["x"] = language.cite(wordlist.section, wordlist.without)
    return [language.render("list", name, slots) for name in names]


def prompt(wordlist: WordList, language: Grammar) -> str:
    return language.join(instructions(wordlist, language))


def stressed(word: str, language: Grammar) -> str:
    return word.upper() if language.emphasis == "capitals" else f"({word})"


def answer(wordlist: WordList, language: Grammar) -> str:
    words = [language.cite(wordlist.section, concept) for concept in wordlist.concepts]
    if wordlist.emphasis:
        words = [stressed(word, language) for word in words]
    if wordlist.layout == "numbered":
        return "\n".join(f"{number}. {word}" for number, word in enumerate(words, 1))
    return language.comma.join(words)


def demands(wordlist: WordList, language: Grammar) -> dict[str, object]:
    """What a right answer must hold, for a program to verify."""
    return {
        "words": [language.cite(wordlist.section, concept) for concept in language.words[wordlist.section]],
        "number": len(wordlist.concepts),
        "layout": wordlist.layout,
        "emphasis": language.emphasis if wordlist.emphasis else None,
        "first": language.cite(wordlist.section, wordlist.concepts[0]) if wordlist.first else None,
        "without": language.cite(wordlist.section, wordlist.without) if wordlist.without else None,
    }
