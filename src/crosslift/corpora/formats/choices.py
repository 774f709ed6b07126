"""Common code of the readers of multiple-choice data sets: the gold answer that the task `multiple_choice` reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from crosslift.corpora.formats.columns import Row, text_of

LETTERS = "ABCDEFGHIJ"


def gold_answer(choices: Sequence[str], gold: int, *, delimiter: str = " ") -> str:
    """Write the gold answer of an item of `multiple_choice`.

    Args:
        choices: The choices.
        gold: Position of the right one, from 0.
        delimiter: What stands between question and choice.

    Raises:
        ValueError: There are fewer than two choices, one is empty, or there is no choice at this position.
    """
    if len(choices) < 2 or not all(isinstance(one, str) and one for one in choices):
        raise ValueError("has fewer than two choices, or an empty one")
    if not 0 <= gold < len(choices):
        raise ValueError(f"names the choice {gold + 1} as the right one of {len(choices)}")
    found: dict[str, Any] = {"choices": list(choices), "gold": gold}
    if delimiter != " ":
        found["delimiter"] = delimiter
    return json.dumps(found, ensure_ascii=False)


def position(answer: Any) -> int:
    """Return the position of a choice from its letter, or from its number from 0.

    Raises:
        ValueError: The value is neither.
    """
    if isinstance(answer, str) and len(answer.strip()) == 1 and answer.strip().upper() in LETTERS:
        return LETTERS.index(answer.strip().upper())
    if isinstance(answer, (int, str)) and not isinstance(answer, bool) and str(answer).isdigit():
        return int(answer)
    raise ValueError(f"answer must be a letter or a number, not {answer!r:.40}")


def lettered(row: Row) -> list[str]:
    """Return the choices in the columns option_a to option_d.

    Raises:
        ValueError: One of them is no text.
    """

    return [text_of(row, f"option_{letter}") for letter in "abcd"]
