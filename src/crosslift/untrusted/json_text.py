"""Parsing of untrusted JSON: every defect raises `ValueError`."""

from __future__ import annotations

import json
import re
from typing import Any

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse_json(text: str) -> Any:
    """Parse a JSON document.

    Args:
        text: the document.

    Returns:
        The parsed value.

    Raises:
        ValueError: the text is not JSON, is nested too deeply, or contains a number of more than 4,300 digits or a lone
            surrogate, which cannot be encoded as UTF-8.
    """
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if _SURROGATE.search(text) and not is_writable(value):
        raise ValueError("a lone surrogate, which is not a valid character")
    return value


def is_writable(value: Any) -> bool:
    """Return whether all strings of a parsed value can be encoded as UTF-8."""
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (UnicodeEncodeError, RecursionError):
        return False
    return True
