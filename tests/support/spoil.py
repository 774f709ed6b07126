"""Ways to spoil the files of a study that is right."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

Spoil = Callable[[Path], None]


def text(old: str, new: str) -> Spoil:
    """Replace something in study.toml."""

    def spoil(folder: Path) -> None:
        file = folder / "study.toml"
        before = file.read_text(encoding="utf-8")
        assert before.count(old) >= 1, f"{old!r} is not in the study"
        file.write_text(before.replace(old, new, 1), encoding="utf-8")

    return spoil


def append(what: str) -> Spoil:
    def spoil(folder: Path) -> None:
        with (folder / "study.toml").open("a", encoding="utf-8") as file:
            file.write(what)

    return spoil


def data(file: str, content: bytes) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / file).write_bytes(content)

    return spoil


def rows(file: str, change: Callable[[list[dict]], list[dict]]) -> Spoil:
    """Change the rows of a JSONL corpus."""

    def spoil(folder: Path) -> None:
        path = folder / file
        found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        path.write_text("".join(json.dumps(row) + "\n" for row in change(found)), encoding="utf-8")

    return spoil


def both(*spoils: Spoil) -> Spoil:
    def spoil(folder: Path) -> None:
        for one in spoils:
            one(folder)

    return spoil


def truncate(file: str) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / file).write_bytes((folder / file).read_bytes()[:-20])

    return spoil


def remove(what: str) -> Spoil:
    def spoil(folder: Path) -> None:
        path = folder / what
        if path.is_dir():
            for file in path.iterdir():
                file.unlink()
            path.rmdir()
        else:
            path.unlink()

    return spoil


def conversation(*roles: str) -> Callable[[list[dict]], list[dict]]:
    """The first row becomes a conversation with these roles."""

    def change(found: list[dict]) -> list[dict]:
        first = {key: value for key, value in found[0].items() if key not in ("prompt", "completion")}
        first["messages"] = [{"role": role, "content": "3 + 4?"} for role in roles]
        return [first, *found[1:]]

    return change
