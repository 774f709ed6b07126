"""Whether a step is done: its record names what it was made from, and its outputs are as they were written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from crosslift.corpora.made import MANIFEST
from crosslift.data_steps.load import kind_of, load_steps
from crosslift.data_steps.step import Made, Step
from crosslift.errors import StoreError
from crosslift.fingerprint import fingerprint, fingerprint_file
from crosslift.system.files import read_json, write_json

RECORD = "step.json"


@dataclass(frozen=True, kw_only=True)
class State:
    """State of a step."""

    what: Literal["done", "to make", "to make again"]
    max_items: int | None = None
    """Number of items to which it was limited when it was made; None if it was not."""
    num_items: int = 0
    reason: str = ""
    """Why it is made again."""


def state_of(step: Step, *, data_seed: int, max_items: int | None = None) -> State:
    """Determine whether a step is done.

    Args:
        step: the step.
        data_seed: the study's seed of data.
        max_items: limit of items that is asked for. A step without a limit is also done for any limit.
    """
    record = _record(step)
    if record is None:
        return State(what="to make")
    made, num_items = record.get("max_items"), int(record.get("num_items", 0))
    reason = ""
    if made is not None and made != max_items:
        reason = f"it holds the first {made} items only"
    elif record.get("identity") != _identity(step, data_seed):
        reason = "its settings have changed"
    elif record.get("inputs") != _contents(kind_of(step).inputs(step)):
        reason = "its source has changed"
    elif record.get("outputs") != _contents(kind_of(step).outputs(step)):
        reason = "its files are missing or have changed"
    what: Literal["done", "to make again"] = "to make again" if reason else "done"
    return State(what=what, max_items=made, num_items=num_items, reason=reason)


def record(step: Step, made: Made, *, data_seed: int, max_items: int | None) -> None:
    """Record that a step is done.

    Args:
        step: the step.
        made: what it has made.
        data_seed: the study's seed of data.
        max_items: limit of items with which it was made.
    """
    kind = kind_of(step)
    found = {
        "kind": step.kind,
        "identity": _identity(step, data_seed),
        "inputs": _contents(kind.inputs(step)),
        "outputs": _contents(kind.outputs(step)),
        "max_items": max_items,
        "num_items": made.num_items,
        "summary": made.summary,
    }
    write_json(step.work / RECORD, found)


def limited_steps(folder: Path) -> list[str]:
    """Describe the steps of a study whose outputs hold only the first items, one sentence each.

    Args:
        folder: the study's folder.
    """
    found = []
    for step in load_steps(folder):
        limit = (_record(step) or {}).get("max_items")
        if limit is not None:
            found.append(
                f"data.toml, steps.{step.name}: its data hold the first {limit} items only. Make all of them: "
                f"crosslift data {folder}"
            )
    return found


def _record(step: Step) -> dict[str, Any] | None:
    file = step.work / RECORD
    if not file.is_file():
        return None
    try:
        found = read_json(file)
    except StoreError:  # damaged: the step is made again, from the replies in its journal
        return None
    return found if isinstance(found, dict) else None


def _identity(step: Step, data_seed: int) -> str:
    return fingerprint([step.kind, kind_of(step).identity(step, data_seed)])


def _contents(paths: Iterable[Path]) -> dict[str, str]:
    """Return name -> hash for the data at these paths, without the names of outer folders.

    Of a corpus that a step or command made, these are its files per language: beside them are a manifest, which
    reviews change, and folders of other steps. Of other folders, all files that are not hidden.
    """
    found = {}
    for number, path in enumerate(paths):
        is_made = (path / MANIFEST).is_file() or any(path.glob("*.jsonl"))
        files = [path] if path.is_file() else sorted(path.glob("*.jsonl") if is_made else path.rglob("*"))
        for file in files:
            if file.is_file() and not file.name.startswith("."):
                name = "" if file == path else file.relative_to(path).as_posix()
                found[f"{number}/{name}"] = fingerprint_file(file)
    return found
