"""YAML of configurations: one key per line, values as JSON, which is part of YAML."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any


def yaml_text(head: Sequence[str], values: Mapping[str, Any]) -> str:
    """Write a configuration. Values that are None are left out.

    Args:
        head: lines of the comment at the beginning.
        values: key -> text, number, boolean, list or mapping.

    Returns:
        The text of the file.
    """
    lines = [f"# {line}" for line in head]
    return "\n".join([*lines, *(f"{key}: {_flow(one)}" for key, one in values.items() if one is not None)]) + "\n"


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(one)}" for key, one in value.items() if one is not None) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, float):
        digits, exponent, power = repr(value).partition("e")  # YAML 1.1 reads 1e-05 as a text
        return digits + ("" if "." in digits or not exponent else ".0") + exponent + power
    return json.dumps(value, ensure_ascii=False)
