"""API calling: tool signatures and a request in the prompt, and a call with English names and keys as the answer.

Each tool has four names and each argument two keys. They are sampled anew for every item, in random order, so that the
model must copy the call's format from the prompt. All splits use all names: models of this size do not copy a name that
they have never seen, so disjoint names, as in the splits of API-Bank, would give no measurable score. Values are
citation forms in the language of the request.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from crosslift.pocket.grammar import Grammar, Slots
from crosslift.pocket.stories import PEOPLE

SECTIONS = {  # argument -> section of the data file; numerical arguments have none
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
NUMBERS = {  # numerical argument -> smallest and largest value
    "people": (3, 30),
    "hour": (3, 12),
    "amount": (3, 99),
}


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A tool of the pocket world."""

    arguments: tuple[str, ...]
    names: tuple[str, ...]
    """Names under which prompts may offer it."""
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
REQUESTED_TOOLS = tuple(name for name in TOOLS if name != "song")
"""Tools that items request. "song" has too few values for disjoint pools; it occurs as a distractor and in the
pretraining text."""

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
_WEIGHTS = np.array([0.08, 0.22, 0.2, 0.15, 0.1, 0.1, 0.1, 0.05])  # probabilities of REQUESTED_TOOLS


@dataclass(frozen=True, kw_only=True)
class Signature:
    """The signature of a tool in a prompt: `get_weather(city, day): weather`."""

    tool: str
    name: str
    keys: dict[str, str]
    """Argument -> key, in the order of the signature."""

    def __str__(self) -> str:
        return f"{self.name}({', '.join(self.keys.values())}): {TOOLS[self.tool].description}"


@dataclass(frozen=True, kw_only=True)
class Call:
    """Language-independent plan of an API-calling item."""

    tools: tuple[Signature, ...]
    """The tools that the prompt offers, including the requested one."""
    requested: Signature
    values: dict[str, str | int]
    """Argument -> concept or number."""
    wording: int
    """Index of the wording of the request."""


def skeleton(call: Call) -> str:
    """Key of the problem: the tool and the values, without names and wording. Items with one key share a pool."""
    values = ",".join(f"{argument}={call.values[argument]}" for argument in sorted(call.values))
    return f"{call.requested.tool}({values})"


def sample_signature(tool: str, rng: np.random.Generator) -> Signature:
    """Sample a name, the keys and the order of the arguments for a tool."""
    choices = TOOLS[tool].names
    arguments = [TOOLS[tool].arguments[position] for position in rng.permutation(len(TOOLS[tool].arguments))]
    return Signature(
        tool=tool,
        name=choices[int(rng.integers(len(choices)))],
        keys={argument: KEYS[argument][int(rng.integers(2))] for argument in arguments},
    )


def sample_values(tool: str, rng: np.random.Generator, language: Grammar) -> dict[str, str | int]:
    """Sample a concept or number for each argument; concepts are the same in all languages."""
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


def call_sampler(language: Grammar) -> Callable[[np.random.Generator], Call]:
    """A function that samples one call; the concepts are those of the given language's data file."""

    def make(rng: np.random.Generator) -> Call:
        tool = REQUESTED_TOOLS[int(rng.choice(len(REQUESTED_TOOLS), p=_WEIGHTS))]
        others = [other for other in TOOLS if other != tool]
        distractor = others[int(rng.integers(len(others)))]
        requested = sample_signature(tool, rng)
        offered = [requested, sample_signature(distractor, rng)]
        if rng.random() < 0.5:
            offered.reverse()
        return Call(
            tools=tuple(offered),
            requested=requested,
            values=sample_values(tool, rng, language),
            wording=int(rng.integers(2)),
        )

    return make


def slots(chosen: dict[str, str | int], language: Grammar) -> Slots:
    """Template slots of a request: argument -> word or number in the language."""
    return {
        argument: value if isinstance(value, int) else language.word(SECTIONS[argument], value)
        for argument, value in chosen.items()
    }


def citation_form(argument: str, value: str | int, language: Grammar) -> str:
    """The value of an argument as text in the language."""
    return str(value) if isinstance(value, int) else language.citation_form(SECTIONS[argument], value)


def request(call: Call, language: Grammar) -> str:
    """The request in natural language."""
    return language.render("api", call.requested.tool, slots(call.values, language), call.wording)


def prompt(call: Call, language: Grammar) -> str:
    """The signatures of the offered tools and the request, one per line."""
    return "\n".join([*map(str, call.tools), request(call, language)])


def render_call(requested: Signature, values: dict[str, str | int], language: Grammar) -> str:
    """`get_weather(city='Rome', day='Monday')`, arguments in the order of the signature."""
    arguments = ", ".join(
        f"{key}='{citation_form(argument, values[argument], language)}'" for argument, key in requested.keys.items()
    )
    return f"{requested.name}({arguments})"


def answer(call: Call, language: Grammar) -> str:
    """The gold answer: a list with the requested call."""
    return f"[{render_call(call.requested, call.values, language)}]"
