"""Removes the results of earlier definitions to free disk space."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from crosslift.execution.definitions.records import definitions, has_scores, present_definition
from crosslift.execution.folder import earlier
from crosslift.execution.folder.checksums import CHECKPOINT
from crosslift.execution.folder.store import Store
from crosslift.system.files import remove
from crosslift.system.leases import waiting_lease


@dataclass(frozen=True, kw_only=True)
class Removable:
    """What `clean` removes."""

    folders: tuple[Path, ...]
    num_bytes: int
    """Disk space in bytes that is freed; files that are also part of a present result are not counted."""
    counts: dict[str, int]
    """Kind of step -> number of results."""


def removable(store: Store, *, checkpoints_only: bool = False) -> Removable:
    """Find the results of earlier definitions.

    Args:
        store: the study's folder.
        checkpoints_only: only the checkpoints; scores and predictions stay.
    """
    folders: list[Path] = []
    counts: dict[str, int] = {}
    for kind in earlier.KINDS:
        for folder in sorted(store.earlier_folder(kind).glob("*/")):
            part = folder / CHECKPOINT if checkpoints_only else folder
            if part.is_dir():
                folders.append(part)
                counts[kind] = counts.get(kind, 0) + 1
    return Removable(folders=tuple(folders), num_bytes=sum(_sizes(folders)), counts=counts)


def clean(store: Store, found: Removable) -> None:
    """Remove results of earlier definitions, and the definitions of which nothing is left.

    Args:
        store: the study's folder.
        found: the result of `removable`.
    """
    with waiting_lease(store.folder):
        for folder in found.folders:
            # A checkpoint is renamed first, so that an interrupted removal is not taken for damage.
            remove(folder.replace(folder.with_name(f".{folder.name}.removed")))
        if not any(True for kind in earlier.KINDS for _ in store.earlier_folder(kind).glob("*/")):
            remove(store.folder / earlier.FOLDER)
        present = present_definition(store)
        for one in definitions(store):
            if (present is None or one.number != present.number) and not has_scores(store, one):
                remove(one.folder)


def _sizes(folders: list[Path]) -> Iterator[int]:
    for folder in folders:
        for file in folder.rglob("*"):
            if file.is_file() and not file.is_symlink() and file.stat().st_nlink == 1:
                yield file.stat().st_size
