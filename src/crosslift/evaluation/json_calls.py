"""Parser of API calls in JSON, in the formats of chat templates, of OpenAI's API and of BFCL.

    {"name": "f", "arguments": {"a": 1}}                      also "parameters"; arguments may be a JSON string
    {"type": "function", "function": {"name": ..., "arguments": ...}}
    {"tool_calls": [...]}
    {"f": {"a": 1}}                                           if the name is no key of the formats above

A text may contain one call, a list of calls or a sequence of calls, in <tool_call> tags, in ```json fences or plain.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

Found = tuple[str, dict[str, Any]]

# Possessive (*+): white space is not given back, or a long run of it would be tried in all ways.
_OPENING = re.compile(r"\s*+(?:<tool_call>|```(?:json)?|<\|tool_call\|>|\[TOOL_CALLS\])?\s*+(?=[\[{])")
_BETWEEN = re.compile(r"\s*+(?:</tool_call>|```|[,;])?\s*+(?:<tool_call>|```(?:json)?)?\s*+(?=[\[{])")
_NAME = re.compile(r"[^\W\d][\w.]*")
_RESERVED = ("name", "arguments", "parameters", "function", "tool_calls", "type", "id")


def find_calls(text: str) -> list[Found]:
    """Names and arguments of the calls at the beginning of a text; empty if the text begins otherwise."""
    opening = _OPENING.match(text)
    found: list[Found] = []
    while opening:
        try:
            value, place = json.JSONDecoder().raw_decode(text, opening.end())
            found += _calls(value)
        except (ValueError, RecursionError):
            return []
        opening = _BETWEEN.match(text, place)
    return found


def _calls(value: Any) -> Iterator[Found]:
    """Calls of a parsed JSON value; raises ValueError if it contains anything else."""
    if isinstance(value, list):
        for element in value:
            yield from _calls(element)
    elif isinstance(value, dict) and isinstance(value.get("tool_calls"), list):
        yield from _calls(value["tool_calls"])
    elif isinstance(value, dict) and isinstance(value.get("function"), dict):
        yield from _calls(value["function"])
    elif isinstance(value, dict) and "name" in value:
        yield _call(value["name"], value.get("arguments", value.get("parameters", {})))
    elif isinstance(value, dict) and value and not set(value) & set(_RESERVED):
        for name, arguments in value.items():
            yield _call(name, arguments)
    else:
        raise ValueError("not a call")


def _call(name: Any, arguments: Any) -> Found:
    if isinstance(arguments, str):
        arguments = json.loads(arguments)
    if not isinstance(name, str) or not _NAME.fullmatch(name) or not isinstance(arguments, dict):
        raise ValueError("not a call")
    return name, arguments
