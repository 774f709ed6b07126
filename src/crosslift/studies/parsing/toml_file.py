"""Reading of user-written TOML files (study, site, mapping, recipe), with limits on size, depth and key length."""

from __future__ import annotations

import re
import stat
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from crosslift.errors import StudyError, visible

MAX_FILE = 16 * 2**20
"""Bytes."""
MAX_DEPTH = 50
MAX_KEY = 500
MAX_TEXT = 100_000
_NUMBER_TOO_LARGE = "a whole number that does not fit into 64 bits"


def shipped_recipes(package: str) -> tuple[str, ...]:
    """Return the names of the recipes in the folder `recipes` of a package."""
    folder = resources.files(package) / "recipes"
    return tuple(sorted(file.name.removesuffix(".toml") for file in folder.iterdir()))


def read_recipe(path: Path, *, package: str, data: Path | None) -> dict[str, Any]:
    """Read the TOML of a recipe.

    Args:
        path: a file, or the name of a recipe in the package.
        package: package with the folder `recipes`.
        data: replaces the path of the source; relative to the working directory.

    Returns:
        The parsed tables.

    Raises:
        StudyError: see `read_toml`.
    """
    shipped = shipped_recipes(package)
    if str(path) in shipped and not path.exists():
        raw = tomllib.loads((resources.files(package) / "recipes" / f"{path}.toml").read_text("utf-8"))
    else:
        raw = read_toml(path, remedy=f"Correct the path, or name a shipped recipe: {', '.join(shipped)}.")
    if data is not None and isinstance(raw.get("source"), dict):
        raw["source"]["path"] = str(data.resolve())
    return raw


def read_toml(file: Path, *, remedy: str) -> dict[str, Any]:
    """Read a TOML file.

    Args:
        file: Path of the file.
        remedy: Advice for the error message if the file does not exist.

    Returns:
        The parsed tables.

    Raises:
        StudyError: The file does not exist, cannot be read, is not UTF-8, is not valid TOML or exceeds a limit. Syntax
            and encoding errors state the line.
    """
    try:
        kind = file.stat()
        if not stat.S_ISREG(kind.st_mode) and not stat.S_ISDIR(kind.st_mode):
            raise StudyError(f"{file} is a pipe or a device, not a regular file. Name a file.")
        if kind.st_size > MAX_FILE:
            raise StudyError(f"{file} has {kind.st_size:,} bytes; the limit is {MAX_FILE:,}. Name another file.")
        data = file.read_bytes()
    except FileNotFoundError as error:
        raise StudyError(f"{file} does not exist. {remedy}") from error
    except OSError as error:
        raise StudyError(
            f"{file} cannot be read: {error.strerror}. Grant read permission, or name another file."
        ) from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise StudyError(f"{file.name}, line {line}: is not UTF-8. Save the file as UTF-8.") from error
    try:
        raw = tomllib.loads(text)
    except RecursionError as error:
        raise StudyError(f"{file.name}: is nested more than {MAX_DEPTH} levels deep. Reduce the nesting.") from error
    except tomllib.TOMLDecodeError as error:
        found = re.match(r"(.*) \(at (?:line (\d+), column (\d+)|(end of document))\)", str(error))
        what = found[1] if found else str(error)
        where = f"line {found[2]}, column {found[3]}" if found and found[2] else "at the end of the file"
        raise StudyError(f"{file.name}, {where}: is not TOML: {visible(what, 500)}. Correct the line.") from error
    except ValueError as error:  # Python limits the number of digits of an integer
        raise StudyError(f"{file.name}: contains {_NUMBER_TOO_LARGE}. Change it.") from error
    _check_size(file.name, raw)
    return raw


def _check_size(name: str, raw: dict[str, Any]) -> None:
    """Reject values that cause failures in libraries: deep nesting, integers beyond 64 bits, overlong keys and strings.

    Raises:
        StudyError: The file exceeds a limit; the message names the first violation.
    """
    waiting: list[tuple[Any, str, int]] = [(raw, "", 0)]
    while waiting:
        value, place, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise StudyError(f"{name}: is nested more than {MAX_DEPTH} levels deep. Reduce the nesting.")
        if isinstance(value, dict):
            for key, inner in value.items():
                shown = visible(key, 60)
                if len(key) > MAX_KEY:
                    raise StudyError(f"{name}: the key '{shown}' is longer than {MAX_KEY} characters. Shorten it.")
                waiting.append((inner, f"{place}.{shown}" if place else shown, depth + 1))
        elif isinstance(value, list):
            waiting += [(inner, place, depth + 1) for inner in value]
        elif isinstance(value, str) and len(value) > MAX_TEXT:
            raise StudyError(f"{name}, {place}: has {len(value):,} characters; the limit is {MAX_TEXT:,}. Shorten it.")
        elif isinstance(value, int) and abs(value) >= 2**63:
            raise StudyError(f"{name}, {place}: contains {_NUMBER_TOO_LARGE}. Change it.")
