"""Fingerprints: hashes of values in a canonical form.

A fingerprint decides whether a finished step may be reused. Equal values must therefore have equal fingerprints on
every machine, and a value without a stable form must raise an error: a `repr` that contains a memory address would make
every run a new one, and `default=str` would make some different runs equal.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


def canonical(value: Any) -> Any:
    """Convert a value to JSON types with one form per value: sorted keys, tuples as lists, dataclasses as mappings.

    Raises:
        TypeError: the value has no stable form (a set of mixed types, an open file, an arbitrary object).
        ValueError: a float is NaN or infinite.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: canonical(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TypeError(f"a mapping needs text keys to be fingerprinted: {list(value)!r}")
        return {key: canonical(value[key]) for key in sorted(value)}
    if isinstance(value, (list, tuple)):
        return [canonical(element) for element in value]
    if isinstance(value, (set, frozenset)):
        return sorted(canonical(element) for element in value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} cannot be fingerprinted")
        return value
    raise TypeError(f"{type(value).__name__} has no stable form and cannot be fingerprinted")


def fingerprint(value: Any) -> str:
    """First sixteen hexadecimal digits of the SHA-256 of the canonical form, as JSON.

    Raises:
        TypeError: the value has no stable form.
        ValueError: a float is NaN or infinite.
    """
    return _hash(canonical_text(value))


def canonical_text(value: Any) -> str:
    """Return the canonical form of a value as JSON; errors as for `fingerprint`."""
    return json.dumps(canonical(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def fingerprint_of_texts(texts: Mapping[str, str]) -> str:
    """Compute the fingerprint of a mapping from the canonical texts of its values, some of which may be known.

    Args:
        texts: Key -> `canonical_text` of the value.

    Returns:
        What `fingerprint` returns for the mapping.
    """
    parts = [f"{json.dumps(key, ensure_ascii=False)}:{texts[key]}" for key in sorted(texts)]
    return _hash("{" + ",".join(parts) + "}")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def fingerprint_file(path: Path) -> str:
    """First sixteen hexadecimal digits of the SHA-256 of a file, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def fingerprint_array(array: np.ndarray) -> str:
    """First sixteen hexadecimal digits of the SHA-256 of an array's dtype, shape and bytes."""
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]
