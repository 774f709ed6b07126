"""A TOML file that somebody wrote: study, site, mapping or recipe, bounded in size, depth and the length of names."""

from __future__ import annotations

import re
import stat
import tomllib
from pathlib import Path
from typing import Any

from crosslift.errors import StudyError, visible

MAX_FILE = 16 * 2**20
"""Bytes."""
MAX_DEPTH = 50
MAX_KEY = 500
MAX_TEXT = 100_000
_NUMBER_TOO_LARGE = "a whole number that does not fit into 64 bits"


def read_toml(file: Path, *, remedy: str) -> dict[str, Any]:
    """The tables of a TOML file.

    Args:
        remedy: what to do when there is no such file.

    Raises:
        StudyError: it is not there, not readable, not UTF-8 or not TOML; the latter two with the line.
    """
    try:
        kind = file.stat()
        if not stat.S_ISREG(kind.st_mode) and not stat.S_ISDIR(kind.st_mode):
            raise StudyError(f"{file} is not a file but a pipe or a device. Name a file.")
        if kind.st_size > MAX_FILE:
            raise StudyError(f"{file} has {kind.st_size:,} bytes, more than {MAX_FILE:,}. Name another file.")
        data = file.read_bytes()
    except FileNotFoundError as error:
        raise StudyError(f"{file} does not exist. {remedy}") from error
    except OSError as error:
        raise StudyError(f"{file} cannot be read: {error.strerror}. Give read permission, or name another.") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise StudyError(f"{file.name}, line {line}: is not UTF-8. Save the file as UTF-8.") from error
    try:
        raw = tomllib.loads(text)
    except RecursionError as error:
        raise StudyError(f"{file.name}: is nested more than {MAX_DEPTH} deep. Take brackets out.") from error
    except tomllib.TOMLDecodeError as error:
        found = re.match(r"(.*) \(at (?:line (\d+), column (\d+)|(end of document))\)", str(error))
        what = found[1] if found else str(error)
        where = f"line {found[2]}, column {found[3]}" if found and found[2] else "at the end of the file"
        raise StudyError(f"{file.name}, {where}: is not TOML: {visible(what, 500)}. Correct the line.") from error
    except ValueError as error:  # a whole number that Python refuses to read
        raise StudyError(f"{file.name}: holds {_NUMBER_TOO_LARGE}. Change it.") from error
    _check_size(file.name, raw)
    return raw


def _check_size(name: str, raw: dict[str, Any]) -> None:
    """Refuse what no study needs and what libraries trip over: deep nesting, numbers beyond 64 bits, endless names.

    Raises:
        StudyError: with the first of them.
    """
    waiting: list[tuple[Any, str, int]] = [(raw, "", 0)]
    while waiting:
        value, place, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise StudyError(f"{name}: is nested more than {MAX_DEPTH} deep. Take brackets out.")
        if isinstance(value, dict):
            for key, inner in value.items():
                shown = visible(key, 60)
                if len(key) > MAX_KEY:
                    raise StudyError(f"{name}: the key '{shown}' is longer than {MAX_KEY} characters. Shorten it.")
                waiting.append((inner, f"{place}.{shown}" if place else shown, depth + 1))
        elif isinstance(value, list):
            waiting += [(inner, place, depth + 1) for inner in value]
        elif isinstance(value, str) and len(value) > MAX_TEXT:
            raise StudyError(f"{name}, {place}: has {len(value):,} characters and may have {MAX_TEXT:,}. Shorten it.")
        elif isinstance(value, int) and abs(value) >= 2**63:
            raise StudyError(f"{name}, {place}: holds {_NUMBER_TOO_LARGE}. Change it.")
