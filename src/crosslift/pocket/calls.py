"""API calls: tools described in the prompt, a request in the language, a call with English names and keys.

Names and keys vary from item to item and those of the test split occur nowhere else, so that they must be read from the
prompt, as with the disjoint APIs of API-Bank's splits. Values are citation forms in the language of the request.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from crosslift.pocket.grammar import Grammar, Slots
from crosslift.pocket.pools import Pool
from crosslift.pocket.stories import PEOPLE

SECTIONS = {  # argument -> section of the data file; numbers have none
    "city": "cities",
    "origin": "cities",
    "destination": "cities",
    "day": "days",
    "person": "people",
    "errand": "errands",
    "phrase": "phrases",
    "food": "foods",
    "song": "songs",
}
NUMBERS = {"people": (3, 30), "hour": (3, 12), "amount": (3, 99)}


@dataclass(frozen=True, kw_only=True)
class Tool:
    arguments: tuple[str, ...]
    verbs: tuple[str, ...]
    nouns: tuple[str, ...]
    description: str


TOOLS = {
    "weather": Tool(
        arguments=("city", "day"), verbs=("get", "check", "find"), nouns=("weather", "forecast"), description="weather"
    ),
    "table": Tool(
        arguments=("city", "people", "day"),
        verbs=("book", "reserve", "get"),
        nouns=("table", "dinner"),
        description="table",
    ),
    "ticket": Tool(
        arguments=("origin", "destination", "day"),
        verbs=("buy", "book", "get"),
        nouns=("ticket", "trip"),
        description="trip",
    ),
    "reminder": Tool(
        arguments=("day", "errand"), verbs=("add", "set", "create"), nouns=("reminder", "note"), description="reminder"
    ),
    "message": Tool(
        arguments=("person", "phrase"),
        verbs=("send", "write", "create"),
        nouns=("message", "text"),
        description="message",
    ),
    "alarm": Tool(
        arguments=("day", "hour"), verbs=("set", "add", "create"), nouns=("alarm", "clock"), description="alarm"
    ),
    "payment": Tool(
        arguments=("person", "amount"), verbs=("send", "make", "pay"), nouns=("payment", "money"), description="payment"
    ),
    "food": Tool(
        arguments=("food", "people"), verbs=("order", "buy", "get"), nouns=("food", "meal"), description="meal"
    ),
    "song": Tool(arguments=("song",), verbs=("play", "start", "find"), nouns=("song", "music"), description="music"),
}
ASKED = tuple(name for name in TOOLS if name != "song")
"""Tools that items ask for. "song" has too few values for disjoint pools: it is a distractor and pretraining text."""

KEYS = {
    "city": ("city", "place"),
    "origin": ("origin", "start"),
    "destination": ("destination", "end"),
    "day": ("day", "date"),
    "people": ("people", "guests"),
    "hour": ("hour", "time"),
    "amount": ("amount", "sum"),
    "person": ("name", "contact"),
    "food": ("food", "dish"),
    "errand": ("task", "note"),
    "phrase": ("text", "words"),
    "song": ("song", "title"),
}
_WEIGHTS = np.array([0.08, 0.22, 0.2, 0.15, 0.1, 0.1, 0.1, 0.05])  # of ASKED: more where there are more values


@dataclass(frozen=True, kw_only=True)
class Signature:
    """A tool as a prompt names it: `get_weather(city, day): weather`."""

    tool: str
    name: str
    keys: dict[str, str]
    """Argument -> key, in the order of the signature."""

    def __str__(self) -> str:
        return f"{self.name}({', '.join(self.keys.values())}): {TOOLS[self.tool].description}"


@dataclass(frozen=True, kw_only=True)
class Call:
    tools: tuple[Signature, ...]
    """What the prompt offers, the right one among them."""
    asked: Signature
    values: dict[str, str | int]
    """Argument -> concept or number."""
    wording: int


def skeleton(call: Call) -> str:
    """What makes it a problem: the tool and the values, whatever the names and the wording."""
    values = ",".join(f"{argument}={call.values[argument]}" for argument in sorted(call.values))
    return f"{call.asked.tool}({values})"


def names(tool: str, *, test: bool) -> list[str]:
    """The names of a tool: two of six are for the test split alone."""
    described = TOOLS[tool]
    everything = [f"{verb}_{noun}" for noun in described.nouns for verb in described.verbs]
    return [name for position, name in enumerate(everything) if (position in (1, 5)) == test]


def signature(tool: str, rng: np.random.Generator, *, test: bool = False) -> Signature:
    choices = names(tool, test=test)
    arguments = [TOOLS[tool].arguments[position] for position in rng.permutation(len(TOOLS[tool].arguments))]
    return Signature(
        tool=tool,
        name=choices[int(rng.integers(len(choices)))],
        keys={argument: KEYS[argument][int(rng.integers(2))] for argument in arguments},
    )


def values(tool: str, rng: np.random.Generator, language: Grammar) -> dict[str, str | int]:
    """A concept or number for each argument; concepts are the same in all languages."""
    chosen: dict[str, str | int] = {}
    for argument in TOOLS[tool].arguments:
        if argument in NUMBERS:
            low, high = NUMBERS[argument]
            chosen[argument] = int(rng.integers(low, high + 1))
        elif argument == "person":
            chosen[argument] = PEOPLE[int(rng.integers(len(PEOPLE)))]
        else:
            concepts = [concept for concept in language.words[SECTIONS[argument]] if concept not in chosen.values()]
            chosen[argument] = concepts[int(rng.integers(len(concepts)))]
    return chosen


def maker(split: Pool, language: Grammar) -> Callable[[np.random.Generator], Call]:
    """The function that draws one call for a split."""

    def make(rng: np.random.Generator) -> Call:
        tool = ASKED[int(rng.choice(len(ASKED), p=_WEIGHTS))]
        others = [other for other in TOOLS if other != tool]
        distractor = others[int(rng.integers(len(others)))]
        asked = signature(tool, rng, test=split == "test")
        offered = [asked, signature(distractor, rng, test=split == "test")]
        if rng.random() < 0.5:
            offered.reverse()
        return Call(tools=tuple(offered), asked=asked, values=values(tool, rng, language), wording=int(rng.integers(2)))

    return make


def slots(chosen: dict[str, str | int], language: Grammar) -> Slots:
    return {
        argument: value if isinstance(value, int) else language.word(SECTIONS[argument], value)
        for argument, value in chosen.items()
    }


def cite(argument: str, value: str | int, language: Grammar) -> str:
    """The value as an argument holds it."""
    return str(value) if isinstance(value, int) else language.cite(SECTIONS[argument], value)


def request(call: Call, language: Grammar) -> str:
    return language.render("api", call.asked.tool, slots(call.values, language), call.wording)


def prompt(call: Call, language: Grammar) -> str:
    return "\n".join([*map(str, call.tools), request(call, language)])


def answer(call: Call, language: Grammar) -> str:
    """`[get_weather(city='Rome', day='Monday')]`, arguments in the order of the signature."""
    arguments = ", ".join(
        f"{key}='{cite(argument, call.values[argument], language)}'" for argument, key in call.asked.keys.items()
    )
    return f"[{call.asked.name}({arguments})]"
