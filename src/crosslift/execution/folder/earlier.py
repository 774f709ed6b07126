"""Results of earlier definitions of a study: `earlier/<kind>/<fingerprint>/`.

After an edit of study.toml, a step's folder may hold the result of other inputs. It is moved here instead of being
overwritten, and moved back when the study asks for it again, so that going back costs nothing. A result is addressed by
its fingerprint and not by its name; a renamed run or mixture therefore finds its results. The kinds are corpora,
tokens, mixtures, train and eval; `runs` holds the provenance of whole runs.

Folders are moved by a rename, which is atomic: a killed process leaves a result in one place or the other.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from crosslift.errors import StoreError
from crosslift.execution.folder import checksums
from crosslift.execution.folder.checksums import JUDGED, MARKER, STARTED
from crosslift.system.files import make_folder, read_json, remove
from crosslift.system.refusals import refused

FOLDER = "earlier"
KINDS = ("corpora", "tokens", "mixtures", "train", "eval")
READING = frozenset(
    {"reader", "split", "revision", "max_items", "order", "data_seed", "incomplete", "options", "checks"}
)
"""Settings of a corpus that matter by the rows that they give, and by nothing else."""

Renamed = Callable[[Path], dict[str, Any]]
"""Rewrites the names in the tables of a folder and returns the changed outputs of its marker."""


def kind_of(step: str) -> str:
    """Return the kind of a step from its name: `runs/pocket-m.en.s3/eval/math.sw` is of the kind `eval`."""
    parts = step.split("/")
    return parts[2] if parts[0] == "runs" else parts[0]


def content_fingerprint(folder: Path) -> str | None:
    """Return the fingerprint of what a step's folder holds, finished or interrupted; None if it cannot be told, which
    includes the marker of another step beside files that do not match it."""
    try:
        marker = checksums.read_marker(folder)
        if marker is not None:
            foreign = any(one.file == MARKER for one in checksums.step_damage(folder, marker))
            return None if foreign else str(marker["fingerprint"])
        started = read_json(folder / STARTED)
    except StoreError:
        return None
    found = started.get("fingerprint") if isinstance(started, dict) else None
    return found if isinstance(found, str) else None


def intact_marker(folder: Path, fingerprint: str, *, thorough: bool = False) -> dict[str, Any] | None:
    """Return the done-marker of a result in `earlier/` whose files are intact; None if there is none.

    Args:
        folder: the result's folder.
        fingerprint: the fingerprint that it must have.
        thorough: hash every file.
    """
    try:
        marker = checksums.read_marker(folder)
    except StoreError:
        return None
    if marker is None or marker["fingerprint"] != fingerprint:
        return None
    damage = checksums.step_damage(folder, {**marker, "step": folder.name}, thorough=thorough)
    return marker if all(one.file == JUDGED for one in damage) else None


def keep(folder: Path, aside: Path) -> None:
    """Move a step's folder to `earlier/`.

    An equal run may have left the same result there; then this one is removed, unless only it was judged.

    Args:
        folder: the step's folder.
        aside: where to move it.

    Raises:
        StoreError: the file system refuses.
    """
    with refused(f"{folder} cannot be moved to {aside}"):
        finished = (aside / MARKER).is_file()
        if finished and (aside / JUDGED).is_file() >= (folder / JUDGED).is_file():
            remove(folder)
            return
        remove(aside)
        make_folder(aside.parent)
        folder.replace(aside)


def give_back(aside: Path, folder: Path, *, step: str, renamed: Renamed | None = None) -> None:
    """Move a finished result into a step's folder.

    Args:
        aside: the result in `earlier/`.
        folder: the step's folder; what it holds is removed.
        step: the step's name, which may differ from that under which the result was computed.
        renamed: rewrites the names in the result's tables if the step's name differs.

    Raises:
        StoreError: the file system refuses, or the result's marker is damaged.
    """
    marker = checksums.read_marker(aside)
    if marker is None:
        raise StoreError(f"{aside / MARKER} is missing.")
    with refused(f"{aside} cannot be moved to {folder}"):
        moved = aside
        if marker.get("step", step) != step:
            moved = aside.with_name(f"{aside.name}.renamed")
            _link(aside, moved)
            outputs = {**marker["outputs"], **({} if renamed is None else renamed(moved))}
            files = {"files": checksums.records_of(moved)} if "files" in marker else {}
            checksums.write_sealed(moved / MARKER, marker | {"step": step, "outputs": outputs} | files)
        remove(folder)
        make_folder(folder.parent)
        moved.replace(folder)
        if moved != aside:
            remove(aside)


def resume(aside: Path, folder: Path) -> None:
    """Move an interrupted attempt from `earlier/` into a step's folder, so that it is resumed."""
    if (aside / STARTED).is_file() and not (aside / MARKER).is_file():
        with refused(f"{aside} cannot be moved to {folder}"):
            make_folder(folder.parent)
            aside.replace(folder)


def _link(source: Path, target: Path) -> None:
    """Copy all files except markers, as hard links where supported: files of a result are never modified in place."""
    remove(target)
    for place, _, names in os.walk(source):
        here = target / Path(place).relative_to(source)
        make_folder(here)
        for name in names:
            if name in (MARKER, STARTED):
                continue
            try:
                os.link(Path(place) / name, here / name)
            except OSError:
                shutil.copy2(Path(place) / name, here / name)


def as_first_read(identity: dict[str, Any], read: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a corpus with those in `READING` that gave the same rows first.

    Args:
        identity: the present settings.
        read: outputs of the corpus's marker.
    """
    first = read.get("read_as")
    return identity if first is None else {key: identity[key] for key in identity if key not in READING} | dict(first)
