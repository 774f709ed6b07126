"""The journal of an exploration: one file per decision, `exploration/0001.json`, in the folder of the study.

An entry says what was believed before a batch, and which runs the batch has. It is written after the study file names
these runs and before they are trained, and is never changed. The journal decides nothing but how much of the budget is
spent: which runs exist and are finished is read from the study.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from crosslift.errors import StoreError
from crosslift.execution.folder.checksums import damage_of, read_sealed, write_sealed
from crosslift.execution.folder.store import Store

FOLDER = "exploration"


@dataclass(frozen=True, kw_only=True)
class BatchRun:
    """A run of a batch."""

    run: str
    amounts: Mapping[str, float]
    """Language -> amount."""
    expected_gain: float
    """Expected improvement of the choice when the run was chosen, in the unit of the objective."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What was believed at one moment, and what was decided."""

    number: int
    """Number of the file."""
    asked: str
    """The question in words."""
    question: str
    """Fingerprint of the question; entries with another one belong to another exploration of the same study."""
    model: str
    num_finished: int
    """Finished runs of the model that have the evaluation."""
    num_explored: int
    """Runs that this exploration has had executed so far."""
    hours: float
    """Hours that workers have spent on these runs."""
    amounts: Mapping[str, float]
    """The mixture that is expected to be best; empty if the data cannot tell."""
    mixture: str
    """Its name if the model was trained on it, else ""."""
    expected: float | None
    """Expected objective of the mixture; None if the data cannot tell. So are the following three."""
    low: float | None
    """Lower 95 % limit."""
    high: float | None
    """Upper 95 % limit."""
    probability: float | None
    """Probability that no candidate is better by more than `margin`."""
    margin: float
    wanted: float
    """Probability that was asked for."""
    undecided: str
    """Why the data cannot tell; "" if they can."""
    stop: str
    """Why the exploration ends; "" if it goes on."""
    decided: bool
    """Whether the mixture is as sure as was asked."""
    batch: tuple[BatchRun, ...] = ()
    """The runs that are executed next."""


def write_entry(store: Store, entry: Entry) -> None:
    """Add an entry to the journal. The lease of its folder must be held."""
    write_sealed(store.folder / FOLDER / f"{entry.number:04d}.json", asdict(entry))


def read_entries(store: Store) -> list[Entry]:
    """Return all entries in order. Damaged files are skipped and recorded in the store's `damage`."""
    found = []
    for file in _files(store.folder / FOLDER):
        try:
            value = read_sealed(file)
            if value is not None:
                found.append(_entry(file, value))
        except StoreError as error:
            store.note_damage(store.name_of(file), [damage_of(file.parent, error)])
    return found


def next_number(store: Store) -> int:
    """Return the number of the next entry; damaged entries keep theirs."""
    return 1 + max((int(file.stem) for file in _files(store.folder / FOLDER)), default=0)


def path_of(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """Return what was believed after each batch: question -> one entry per number of finished runs, the last one."""
    found: dict[str, dict[int, Entry]] = {}
    for entry in entries:
        found.setdefault(entry.question, {})[entry.num_finished] = entry
    return {question: [by_runs[num] for num in sorted(by_runs)] for question, by_runs in found.items()}


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*.json") if file.stem.isdecimal())


def _entry(file: Path, value: dict[str, Any]) -> Entry:
    try:
        fields = {key: one for key, one in value.items() if key in Entry.__dataclass_fields__}
        return Entry(**(fields | {"batch": tuple(BatchRun(**one) for one in value["batch"])}))
    except (KeyError, TypeError) as error:
        raise StoreError(f"{file} is not an entry of an exploration. Remove it.") from error
