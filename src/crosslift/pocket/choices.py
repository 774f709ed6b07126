"""Multiple choice: a short story and four sentences, one of which reports it.

The three wrong sentences differ from the right one in one fact each: the object, the place and the time. All facts of
the right one are in the story, so the item asks for reading and not for knowledge.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np

from crosslift.pocket import tales
from crosslift.pocket.grammar import Grammar
from crosslift.pocket.stories import PEOPLE

_OBJECTS = {"meet": "m", "see": "animal", "buys": "food"}
_SECTIONS = {"animal": "animals", "food": "foods", "place": "places", "t": "times"}


@dataclass(frozen=True, kw_only=True)
class Question:
    """Language-independent plan of an item."""

    tale: tales.Tale
    wrong: tuple[tales.Tale, ...]
    """Tales whose summaries are wrong."""
    gold: int
    """Position of the right sentence."""


def make(rng: np.random.Generator, language: Grammar) -> Question:
    """Sample a question; the concepts are those of the given language's data file."""
    tale = tales.add_distractor(rng, tales.make(rng, language), language)
    wrong = []
    for slot in (_OBJECTS[tale.key_event], "place", "t"):
        known = PEOPLE if slot == "m" else tuple(language.words[_SECTIONS[slot]])
        used = {tale.concepts["n"], tale.concepts["m"]} if slot == "m" else {tale.concepts[slot]}
        others = [concept for concept in known if concept not in used]
        concept = others[int(rng.integers(len(others)))]
        wrong.append(replace(tale, concepts=tale.concepts | {slot: concept}))
    order = rng.permutation(len(wrong))
    return Question(tale=tale, wrong=tuple(wrong[place] for place in order), gold=int(rng.integers(len(wrong) + 1)))


def skeleton(question: Question) -> str:
    """Key of the problem: that of its tale."""
    return tales.skeleton(question.tale)


def prompt(question: Question, language: Grammar) -> str:
    """The story."""
    return tales.story(question.tale, language)


def completion(question: Question, language: Grammar) -> str:
    """The right sentence."""
    return tales.summary(question.tale, language)


def answer(question: Question, language: Grammar) -> str:
    """The choices and the position of the right one, in the format of the task multiple_choice."""
    choices = [tales.summary(tale, language) for tale in question.wrong]
    choices.insert(question.gold, completion(question, language))
    return json.dumps({"choices": choices, "gold": question.gold}, ensure_ascii=False)
