"""API calls: tools described in the prompt, a request in the language, a call with English names and keys.

Each tool goes by four names and each argument by two keys, drawn anew for every item and put in any order, so that the
call must be read from the prompt. All splits use all names: models of this size do not copy a name that they never saw,
so disjoint ones, as in API-Bank's splits, would leave nothing to measure. Values are citation forms in the language of
the request.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from crosslift.pocket.grammar import Grammar, Slots
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
    names: tuple[str, ...]
    description: str


TOOLS = {
    "weather": Tool(
        arguments=("city", "day"),
        names=("get_weather", "find_weather", "get_forecast", "check_forecast"),
        description="weather",
    ),
    "table": Tool(
        arguments=("city", "people", "day"),
        names=("book_table", "get_table", "book_dinner", "reserve_dinner"),
        description="table",
    ),
    "ticket": Tool(
        arguments=("origin", "destination", "day"),
        names=("buy_ticket", "get_ticket", "buy_trip", "book_trip"),
        description="trip",
    ),
    "reminder": Tool(
        arguments=("day", "errand"),
        names=("add_reminder", "create_reminder", "add_note", "set_note"),
        description="reminder",
    ),
    "message": Tool(
        arguments=("person", "phrase"),
        names=("send_message", "create_message", "send_text", "write_text"),
        description="message",
    ),
    "alarm": Tool(
        arguments=("day", "hour"),
        names=("set_alarm", "create_alarm", "set_clock", "add_clock"),
        description="alarm",
    ),
    "payment": Tool(
        arguments=("person", "amount"),
        names=("send_payment", "pay_payment", "send_money", "make_money"),
        description="payment",
    ),
    "food": Tool(
        arguments=("food", "people"),
        names=("order_food", "get_food", "order_meal", "buy_meal"),
        description="meal",
    ),
    "song": Tool(
        arguments=("song",),
        names=("play_song", "find_song", "play_music", "start_music"),
        description="music",
    ),
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


def signature(tool: str, rng: np.random.Generator) -> Signature:
    choices = TOOLS[tool].names
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


def maker(language: Grammar) -> Callable[[np.random.Generator], Call]:
    """The function that draws one call."""

    def make(rng: np.random.Generator) -> Call:
        tool = ASKED[int(rng.choice(len(ASKED), p=_WEIGHTS))]
        others = [other for other in TOOLS if other != tool]
        distractor = others[int(rng.integers(len(others)))]
        asked = signature(tool, rng)
        offered = [asked, signature(distractor, rng)]
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


def written(asked: Signature, values: dict[str, str | int], language: Grammar) -> str:
    """`get_weather(city='Rome', day='Monday')`, arguments in the order of the signature."""
    arguments = ", ".join(
        f"{key}='{cite(argument, values[argument], language)}'" for argument, key in asked.keys.items()
    )
    return f"{asked.name}({arguments})"


def answer(call: Call, language: Grammar) -> str:
    return f"[{written(call.asked, call.values, language)}]"
