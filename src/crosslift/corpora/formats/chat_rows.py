"""Common code of the readers of chat data as it lies on the hub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from crosslift.corpora.formats.columns import Item, Row

SPLITS = {"train": ("train",), "validation": ("validation", "valid", "val", "dev"), "test": ("test", "eval")}
LANGUAGE = ("language", "lang")
IDS = ("id", "prompt_id", "conversation_id")
"""Columns that identify an item in all languages; the first that is there is used."""


def chat_item(row: Row, turns: Sequence[Mapping[str, str]] | None) -> Item:
    """Return the item of a conversation.

    Args:
        row: The row, for its id.
        turns: Messages that end with an answer, or None.

    Raises:
        ValueError: There is no conversation, or it does not begin with a question or has an empty message.
    """
    if not turns or [one["role"] for one in turns if one["role"] != "system"][:1] != ["user"]:
        raise ValueError(
            "is no conversation of system, user and assistant that begins with a question and has an answer"
        )
    identity = next((row[name] for name in IDS if row.get(name) is not None), None)
    return Item(
        messages=turns,
        answer=turns[-1]["content"],
        id=None if identity is None else str(identity),
    )
