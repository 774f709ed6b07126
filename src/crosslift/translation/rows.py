"""Extraction of the translatable texts of a conversation, and its assembly from their translations.

Prompts are translated with masked parts (see `protect`). A completion that is a call keeps its name, its keys and all
language-neutral values; other values are translated if the recipe includes their kind. Values are translated first, on
their own, and then inserted into the prompt through the glossary, so that prompt and call use the same words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import regex

from crosslift.evaluation.calls import PREFIX, Call, is_neutral, parse_calls
from crosslift.translation.protect import MaskedText, mask
from crosslift.translation.recipe import Recipe

Conversation = list[dict[str, str]]


@dataclass(frozen=True, kw_only=True)
class Item:
    """One row of the source corpus; the fields are those of `corpora.corpus.ROWS`."""

    item_id: str
    messages: Conversation
    answer: str
    cluster: str


def completion_calls(item: Item) -> list[Call]:
    """The calls of the completion; empty if it contains none."""
    last = item.messages[-1]
    return parse_calls(last["content"]) if last["role"] == "assistant" else []


def translatable_values(item: Item, recipe: Recipe) -> list[str]:
    """Values of the item's calls that the recipe translates, without duplicates."""
    if "completion" not in recipe.fields:
        return []
    found = (value for call in completion_calls(item) for _, value in call.arguments if isinstance(value, str))
    return list(dict.fromkeys(value for value in found if value_kind(value) in recipe.values))


def value_kind(value: str) -> str:
    """Kind of a value: "neutral" (numbers, dates, ids), "name" (every word begins with a capital) or "text"."""
    if is_neutral(value):
        return "neutral"
    words = regex.findall(r"\p{L}[\p{L}\p{M}\p{N}'-]*", value)
    return "name" if words and all(word[0] != word[0].lower() for word in words) else "text"


def translatable_texts(item: Item, recipe: Recipe, glossary: Mapping[str, str]) -> list[MaskedText]:
    """The masked texts of an item to translate, in the order that `assemble_conversation` expects."""
    return [masked for _, masked in _parts(item, recipe, glossary) if masked is not None and not masked.is_empty]


def assemble_conversation(
    item: Item, recipe: Recipe, glossary: Mapping[str, str], texts: list[str]
) -> tuple[Conversation, str]:
    """Build the translated conversation.

    Args:
        item: the source item.
        recipe: the recipe.
        glossary: value -> its translation, for the values of this item.
        texts: translations of `translatable_texts`, in the same order.

    Returns:
        Messages and gold answer in the target language.
    """
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
    if completion_calls(item):
        messages[-1]["content"] = _with_values(last, glossary)
        answer = _with_values(item.answer, glossary)
    elif answer == last:
        answer = messages[-1]["content"]
    return messages, answer


def _restored(masked: MaskedText) -> str:
    text = masked.text
    for number, original in enumerate(masked.originals, start=1):
        text = text.replace(f"<{number}>", original, 1)
    return text


def _parts(item: Item, recipe: Recipe, glossary: Mapping[str, str]) -> list[tuple[tuple[int, str], MaskedText | None]]:
    """For each message or line: the index of the message, the original, and the masked text if it is translated."""
    parts: list[tuple[tuple[int, str], MaskedText | None]] = []
    names = {*recipe.names, *(call.name for call in completion_calls(item))}
    for place, message in enumerate(item.messages):
        is_last = place == len(item.messages) - 1 and message["role"] == "assistant"
        wanted = ("completion" if is_last else "prompt") in recipe.fields and not (is_last and completion_calls(item))
        pieces = message["content"].split("\n") if recipe.unit == "line" else [message["content"]]
        for piece in pieces:
            parts.append(((place, piece), mask(piece, glossary=glossary, names=names) if wanted else None))
    return parts


def _with_values(text: str, glossary: Mapping[str, str]) -> str:
    """The calls of a text with translated values, in the same notation."""
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
