"""Conversations as data sets of the hub write them, converted to messages with role and content."""

from __future__ import annotations

import re
from typing import Any

ROLES = {
    "system": "system",
    "human": "user",
    "user": "user",
    "prompter": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "model": "assistant",
}
"""Name of a speaker -> role."""
_KEYS = (("role", "content"), ("from", "value"))
_SPEAKER = re.compile(r"(?:^|\n\n)(Human|Assistant): ?")


def conversation(turns: Any) -> list[dict[str, str]] | None:
    """Convert the turns of a conversation.

    Args:
        turns: list of {"role", "content"} or {"from", "value"}; further keys are ignored.

    Returns:
        The messages up to the last answer; None if the turns are no such list, a speaker is unknown, or there is no
        answer.
    """
    messages = _messages(turns)
    if messages is None:
        return None
    answers = [place for place, one in enumerate(messages) if one["role"] == "assistant"]
    return messages[: answers[-1] + 1] if answers else None


def first_question(turns: Any) -> list[dict[str, str]] | None:
    """Return the first question of a conversation, after the system message if there is one.

    Args:
        turns: see `conversation`.

    Returns:
        One or two messages; None if the turns do not begin with a question that has a text.
    """
    messages = _messages(turns[:2]) if isinstance(turns, list) else None
    start = [one for one in messages or [] if one["content"]]
    place = 1 if start[:1] and start[0]["role"] == "system" else 0
    return start[: place + 1] if len(start) > place and start[place]["role"] == "user" else None


def _messages(turns: Any) -> list[dict[str, str]] | None:
    if not isinstance(turns, list):
        return None
    messages: list[dict[str, str]] = []
    for turn in turns:
        if not isinstance(turn, dict):
            return None
        speaker, text = next(((turn[a], turn[b]) for a, b in _KEYS if a in turn and b in turn), (None, None))
        if not isinstance(speaker, str) or speaker not in ROLES or not isinstance(text, str):
            return None
        messages.append({"role": ROLES[speaker], "content": text.strip()})
    return messages


def transcript(text: str) -> list[dict[str, str]] | None:
    """Convert a transcript with the speakers "Human:" and "Assistant:", each after an empty line.

    Returns:
        The messages up to the last answer; None if the text does not begin with a speaker or has no answer.
    """
    before, *parts = _SPEAKER.split(text)
    if before.strip():
        return None
    return conversation(
        [
            {"from": speaker.lower().replace("assistant", "gpt"), "value": said}
            for speaker, said in zip(parts[::2], parts[1::2], strict=True)
        ]
    )
