"""Which texts of a conversation are translated, and the conversation that comes of their translations.

Prompts are translated around what `protect` holds. A completion that is a call keeps its name, its keys and all values
that are the same in every language; of the rest, those kinds are translated that the recipe names. Values come first,
alone, and then enter the prompt through the glossary, so that what the user says is what the call holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import regex

from crosslift.evaluation.calls import PREFIX, Call, is_neutral, parse_calls
from crosslift.translation.protect import Masked, mask
from crosslift.translation.recipe import Recipe

Conversation = list[dict[str, str]]


@dataclass(frozen=True, kw_only=True)
class Item:
    item_id: str
    messages: Conversation
    answer: str
    cluster: str


def calls_of(item: Item) -> list[Call]:
    """The calls of the completion; empty where it is prose."""
    last = item.messages[-1]
    return parse_calls(last["content"]) if last["role"] == "assistant" else []


def values_of(item: Item, recipe: Recipe) -> list[str]:
    """Values of the item's calls that the recipe translates."""
    if "completion" not in recipe.fields:
        return []
    found = (value for call in calls_of(item) for _, value in call.arguments if isinstance(value, str))
    return list(dict.fromkeys(value for value in found if kind_of(value) in recipe.values))


def kind_of(value: str) -> str:
    """ "neutral" (numbers, dates, ids), "name" (every word in capitals at its beginning) or "text"."""
    if is_neutral(value):
        return "neutral"
    words = regex.findall(r"\p{L}[\p{L}\p{M}\p{N}'-]*", value)
    return "name" if words and all(word[0] != word[0].lower() for word in words) else "text"


def texts_of(item: Item, recipe: Recipe, glossary: Mapping[str, str]) -> list[Masked]:
    """What is sent away, in the order in which `assembled` takes it back."""
    return [masked for _, masked in _parts(item, recipe, glossary) if masked is not None and not masked.is_empty]


def assembled(item: Item, recipe: Recipe, glossary: Mapping[str, str], texts: list[str]) -> tuple[Conversation, str]:
    """Messages and answer in the target language."""
    translated = iter(texts)
    contents: dict[int, list[str]] = {}
    for (place, original), masked in _parts(item, recipe, glossary):
        if masked is None:
            contents.setdefault(place, []).append(original)
        elif masked.is_empty:
            contents.setdefault(place, []).append(_restored(masked))
        else:
            contents.setdefault(place, []).append(next(translated))
    joint = "\n" if recipe.unit == "line" else ""
    messages = [
        {"role": message["role"], "content": joint.join(contents[place])} for place, message in enumerate(item.messages)
    ]
    last = item.messages[-1]["content"]
    answer = item.answer
    if calls_of(item):
        messages[-1]["content"] = _with_values(last, glossary)
        answer = _with_values(item.answer, glossary)
    elif answer == last:
        answer = messages[-1]["content"]
    return messages, answer


def _restored(masked: Masked) -> str:
    text = masked.text
    for number, original in enumerate(masked.restored, start=1):
        text = text.replace(f"<{number}>", original, 1)
    return text


def _parts(item: Item, recipe: Recipe, glossary: Mapping[str, str]) -> list[tuple[tuple[int, str], Masked | None]]:
    """Message by message (or line by line): its place, the original, and what is translated of it, if anything is."""
    parts: list[tuple[tuple[int, str], Masked | None]] = []
    names = {*recipe.names, *(call.name for call in calls_of(item))}
    for place, message in enumerate(item.messages):
        is_last = place == len(item.messages) - 1 and message["role"] == "assistant"
        wanted = ("completion" if is_last else "prompt") in recipe.fields and not (is_last and calls_of(item))
        pieces = message["content"].split("\n") if recipe.unit == "line" else [message["content"]]
        for piece in pieces:
            parts.append(((place, piece), mask(piece, glossary=glossary, names=names) if wanted else None))
    return parts


def _with_values(text: str, glossary: Mapping[str, str]) -> str:
    """The call with its values translated, written as it was."""
    calls = parse_calls(text)
    changed = [
        Call(
            name=call.name,
            arguments=tuple(
                (key, glossary.get(value, value) if isinstance(value, str) else value) for key, value in call.arguments
            ),
        )
        for call in calls
    ]
    if changed == calls:
        return text
    prefix = f"{PREFIX} " if PREFIX in text else ""
    return f"{prefix}[{', '.join(map(str, changed))}]"
