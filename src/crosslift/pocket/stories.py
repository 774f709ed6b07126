"""Math word problems with step-by-step solutions.

A story is a chain of at most four equations about countable objects. All numbers are between 3 and 99, so that no
language needs a singular or dual form and numbers take few tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from crosslift.pocket.grammar import Grammar, Slots, capitalize

OBJECTS = ("apple", "pencil", "stone", "flower", "ball", "egg", "ticket", "lemon", "chair")
PEOPLE = tuple(f"p{number}" for number in range(8))
SMALLEST, LARGEST = 3, 99

_NUM_EQUATIONS = np.array([0.22, 0.33, 0.28, 0.17])  # share of stories with 1, 2, 3, 4 equations


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """One sentence of a story: the name of its template and its numbers."""

    name: str
    a: int = 0
    b: int = 0


@dataclass(frozen=True, kw_only=True)
class Story:
    """Language-independent plan of a math word problem."""

    kind: Literal["now", "both", "left"]
    """Quantity in question: the objects of one person, the objects of two persons together, or the remaining money."""
    people: tuple[str, str]
    """Concepts of the persons."""
    thing: str
    """Concept of the counted object."""
    sentences: tuple[Sentence, ...]
    equations: tuple[str, ...]
    """Equations of the solution, in order."""
    totals: tuple[int, ...]
    """Intermediate result after each sentence; 0 if there is none."""
    answer: int


def skeleton(story: Story) -> str:
    """Key of the problem: its operations and numbers, independent of persons and objects. Items with one key share a
    pool."""
    return story.kind + ";".join(f"{sentence.name},{sentence.a},{sentence.b}" for sentence in story.sentences)


class _OutOfRangeError(Exception):
    """A number is outside the allowed range; the story is sampled again."""


class _Chain:
    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.sentences: list[Sentence] = []
        self.equations: list[str] = []
        self.totals: list[int] = []

    def number(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def say(self, name: str, a: int, b: int = 0, total: int = 0) -> None:
        self.sentences.append(Sentence(name=name, a=a, b=b))
        self.totals.append(total)

    def equate(self, left: int, sign: str, right: int) -> int:
        result = {"+": left + right, "-": left - right, "*": left * right, "/": left // right}[sign]
        if not SMALLEST <= result <= LARGEST or (sign == "/" and left % right):
            raise _OutOfRangeError
        self.equations.append(f"{left} {sign} {right} = {result}")
        return result

    def change(self, total: int) -> int:
        """Add one event that changes the number of a person's objects."""
        name = str(
            self.rng.choice(["buy", "find", "lose", "give", "times", "share"], p=[0.2, 0.2, 0.18, 0.18, 0.14, 0.1])
        )
        operand = self.number(3, 5) if name in ("times", "share") else self.number(3, 20)
        sign = {"buy": "+", "find": "+", "lose": "-", "give": "-", "times": "*", "share": "/"}[name]
        total = self.equate(total, sign, operand)
        self.say(name, operand, total=total)
        return total

    def now(self, num_equations: int) -> int:
        if self.rng.random() < 0.3:
            per_box, boxes = self.number(3, 9), self.number(3, 9)
            total = self.equate(boxes, "*", per_box)
            self.say("boxes", per_box, boxes, total)
        else:
            total = self.number(3, 40)
            self.say("start", total, total=total)
        while len(self.equations) < num_equations:
            total = self.change(total)
        return total

    def both(self, num_equations: int) -> int:
        first = self.now(max(num_equations - 2, 0)) if num_equations > 2 else self.number(3, 30)
        if num_equations <= 2:
            self.say("start", first, total=first)
        name = str(self.rng.choice(["more_than", "fewer_than", "times_than"], p=[0.45, 0.35, 0.2]))
        operand = self.number(3, 4) if name == "times_than" else self.number(3, 20)
        second = self.equate(first, {"more_than": "+", "fewer_than": "-", "times_than": "*"}[name], operand)
        self.say(name, operand, total=second)
        return self.equate(first, "+", second)

    def left(self, num_equations: int) -> int:
        price, bought = self.number(3, 9), self.number(3, 9)
        self.say("price", price)
        paid = self.equate(bought, "*", price)
        owned = self.number(max(paid + 3, 10), LARGEST) if paid + 3 <= LARGEST else LARGEST
        self.say("purchase", owned, bought)
        total = self.equate(owned, "-", paid)
        self.totals[-1] = total
        while len(self.equations) < num_equations:
            name, sign = [("find", "+"), ("lose", "-")][self.number(0, 1)]
            operand = self.number(3, 20)
            total = self.equate(total, sign, operand)
            self.say(f"coin_{name}", operand, total=total)
        return total


def make(rng: np.random.Generator) -> Story:
    """Sample a story. The number of equations is sampled first, so that rejected stories do not change its
    distribution."""
    num_equations = 1 + int(rng.choice(4, p=_NUM_EQUATIONS))
    while True:
        kind: Literal["now", "both", "left"] = "now"
        if num_equations > 1:
            kind = ("now", "both", "left")[int(rng.choice(3, p=[0.6, 0.22, 0.18]))]
        chain = _Chain(rng)
        try:
            answer = {"now": chain.now, "both": chain.both, "left": chain.left}[kind](num_equations)
        except _OutOfRangeError:
            continue
        first, second = rng.choice(len(PEOPLE), size=2, replace=False)
        return Story(
            kind=kind,
            people=(PEOPLE[int(first)], PEOPLE[int(second)]),
            thing=OBJECTS[int(rng.integers(len(OBJECTS)))],
            sentences=tuple(chain.sentences),
            equations=tuple(chain.equations),
            totals=tuple(chain.totals),
            answer=answer,
        )


def _slots(story: Story, language: Grammar, *, thing: str | None = None) -> dict[str, object]:
    coin = language.word("objects", "coin")
    return {
        "n": language.word("people", story.people[0]),
        "m": language.word("people", story.people[1]),
        "o": coin if thing == "coin" else language.word("objects", story.thing),
        "c": coin,
    }


def sentences(story: Story, language: Grammar) -> list[str]:
    """The sentences of a story without its question."""
    texts = []
    for sentence in story.sentences:
        thing, name = ("coin", sentence.name[5:]) if sentence.name.startswith("coin_") else (None, sentence.name)
        slots: Slots = _slots(story, language, thing=thing) | {"a": sentence.a, "b": sentence.b}  # type: ignore[assignment]
        texts.append(language.render("math", name, slots))
    return texts


def question(story: Story, language: Grammar) -> str:
    """The question of a story."""
    slots: Slots = _slots(story, language)  # type: ignore[assignment]
    return language.render("math", f"ask_{story.kind}", slots)


def conclusion(story: Story, language: Grammar) -> str:
    """The result as a clause: `now Anna has 8 apples`."""
    slots: Slots = _slots(story, language) | {"a": story.answer}  # type: ignore[assignment]
    return language.render("math", story.kind, slots)


def outcome(story: Story, language: Grammar) -> str:
    """The result as a sentence: `Now Anna has 8 apples.`"""
    return capitalize(conclusion(story, language)) + language.stop


def reasoning(story: Story, language: Grammar) -> str:
    """The equations and the result: `Since 5 + 3 = 8, now Anna has 8 apples.`"""
    return language.render("math", "because", {"e": ", ".join(story.equations), "f": conclusion(story, language)})


def problem(story: Story, language: Grammar) -> str:
    """The prompt: the story and its question."""
    return language.join([*sentences(story, language), question(story, language)])


def solution(story: Story, language: Grammar) -> str:
    """The completion: the equations, the result and the final answer."""
    return language.join([reasoning(story, language), language.render("math", "answer", {"a": story.answer})])
