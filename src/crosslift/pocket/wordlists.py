"""Instruction following: lists of words under verifiable constraints on topic, number, layout, first and excluded word.

Many answers are correct; `answer` gives one of them, and `constraints` gives the conditions of every correct answer.
Emphasized words are in capitals, or in brackets in scripts without capitals.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from crosslift.pocket.grammar import Grammar

SECTIONS = ("animals", "colours", "foods", "cities", "days")


@dataclass(frozen=True, kw_only=True)
class WordList:
    """Language-independent plan of an instruction-following item."""

    section: str
    """Section of the data file that the words belong to."""
    concepts: tuple[str, ...]
    """One correct answer, in order."""
    layout: Literal["commas", "numbered"]
    emphasis: bool
    """Whether the words must be emphasized."""
    first: bool
    """Whether the first word is prescribed."""
    without: str | None
    """A concept of the section that the list must not contain."""


def make(rng: np.random.Generator, language: Grammar) -> WordList:
    """Sample a word list; the concepts are those of the given language's data file."""
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


def canonical_order(wordlist: WordList, language: Grammar) -> WordList:
    """The same constraints with a canonical answer: the words in the order of the section, from the prescribed first.

    With randomly sampled words a model learns a uniform distribution over words, and under greedy decoding it repeats
    words.
    """
    order = list(language.words[wordlist.section])
    start = order.index(wordlist.concepts[0]) if wordlist.first else 0
    words = [concept for concept in order[start:] + order[:start] if concept != wordlist.without]
    return replace(wordlist, concepts=tuple(words[: len(wordlist.concepts)]))


def skeleton(wordlist: WordList) -> str:
    """Key of the problem: all constraints, and nothing else of the answer. Items with one key share a pool."""
    first = wordlist.concepts[0] if wordlist.first else "-"
    form = f"{wordlist.layout},{wordlist.emphasis}"
    return f"{wordlist.section},{len(wordlist.concepts)},{form},{first},{wordlist.without or '-'}"


def instructions(wordlist: WordList, language: Grammar) -> list[str]:
    """One sentence for each constraint, the topic first."""
    slots: dict[str, str | int] = {"k": language.labels[wordlist.section], "a": len(wordlist.concepts)}
    names = ["topic", "number", wordlist.layout]
    if wordlist.emphasis:
        names.append("emphasis")
    if wordlist.first:
        names.append("first")
        slots["w"] = language.citation_form(wordlist.section, wordlist.concepts[0])
    if wordlist.without:
        names.append("without")
        slots["x"] = language.citation_form(wordlist.section, wordlist.without)
    return [language.render("list", name, slots) for name in names]


def prompt(wordlist: WordList, language: Grammar) -> str:
    """The instructions as one text."""
    return language.join(instructions(wordlist, language))


def emphasize(word: str, language: Grammar) -> str:
    """The word in capitals, or in brackets in scripts without capitals."""
    return word.upper() if language.emphasis == "capitals" else f"({word})"


def answer(wordlist: WordList, language: Grammar) -> str:
    """One correct answer."""
    words = [language.citation_form(wordlist.section, concept) for concept in wordlist.concepts]
    if wordlist.emphasis:
        words = [emphasize(word, language) for word in words]
    if wordlist.layout == "numbered":
        return "\n".join(f"{number}. {word}" for number, word in enumerate(words, 1))
    return language.comma.join(words)


def constraints(wordlist: WordList, language: Grammar) -> dict[str, object]:
    """The verifiable constraints, in the format of the gold answer of the task instruction_following."""
    return {
        "words": [language.citation_form(wordlist.section, concept) for concept in language.words[wordlist.section]],
        "number": len(wordlist.concepts),
        "layout": wordlist.layout,
        "emphasis": language.emphasis if wordlist.emphasis else None,
        "first": language.citation_form(wordlist.section, wordlist.concepts[0]) if wordlist.first else None,
        "without": language.citation_form(wordlist.section, wordlist.without) if wordlist.without else None,
    }
