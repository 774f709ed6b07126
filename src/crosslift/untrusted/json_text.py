"""JSON that somebody else wrote, read with one kind of error for everything that may be wrong with it."""

from __future__ import annotations

import json
import re
from typing import Any

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse_json(text: str) -> Any:
    """The value in a text.

    Raises:
        ValueError: not JSON, nested too deep, a number of more than 4,300 digits, or a lone surrogate, which is half of
            a character and cannot be written to any file.
    """
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if _SURROGATE.search(text) and not is_writable(value):
        raise ValueError("a lone surrogate, half of a character")
    return value


def is_writable(value: Any) -> bool:
    """Do all texts of a parsed value consist of whole characters?"""
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (UnicodeEncodeError, RecursionError):
        return False
    return True
