"""Finished runs that were verified before, so that `crosslift status` need not compute their fingerprints again.

A run whose definition and files are unchanged is as finished as it was. What is remembered is, per run, a hash of the
sizes and modification times of its markers and of the files that they list; one changed time is enough for the run to
be verified in full. Two places hold it, and both may be deleted at any time:

    logs/finished/<run>.<fingerprint>   one run, written by the worker that finished it
    .finished.json                      all runs, written by `crosslift status`, which then reads one file
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from crosslift import __version__
from crosslift.errors import CrossliftError, StoreError
from crosslift.execution.folder.checksums import JUDGED, MARKER, read_marker, read_sealed, write_sealed
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.steps import RunSteps
from crosslift.execution.folder.store import Store
from crosslift.fingerprint import fingerprint
from crosslift.system.files import read_json, remove, write_json

FILE = ".finished.json"


class FinishedRuns:
    """The runs of a study that were finished and intact when they were last verified.

    Args:
        graph: the steps of a prepared study.
    """

    def __init__(self, graph: StepGraph) -> None:
        self._graph = graph
        self._file = graph.store.folder / FILE
        self._key = definition_key(graph)
        self._layouts: list[list[str]] = []
        self._numbers: dict[tuple[str, ...], int] = {}
        self._runs: dict[str, list[Any]] = {}
        self._changed = False
        try:
            found = read_json(self._file)
        except StoreError:
            return
        if self._key is not None and isinstance(found, dict) and _checksum(found) == found.get("checksum", ""):
            if found["key"] != self._key:
                return
            self._layouts, self._runs = found["layouts"], found["runs"]
            self._numbers = {tuple(names): number for number, names in enumerate(self._layouts)}

    def facts(self, run: str) -> dict[str, Any] | None:
        """Return what was given to `add` or to `write_note`; None if the run must be verified in full."""
        found = self._runs.get(run)
        if found is not None:
            layout, signature, facts = found
            if _signature(self._graph.store, run, self._layouts[layout]) == signature:
                return dict(facts)
            del self._runs[run]
            self._changed = True
        for file in self._notes.get(run, ()):
            note = self._read(file)
            if note is not None and _signature(self._graph.store, run, note["names"]) == note["signature"]:
                self._remember(run, note["names"], note["signature"], note["facts"])
                return dict(note["facts"])
        return None

    def add(self, steps: RunSteps, facts: Mapping[str, Any]) -> None:
        """Remember a run that is finished and intact.

        Args:
            steps: its steps.
            facts: what `facts` is to return, in JSON types.
        """
        names = _files(self._graph.store, steps)
        if names is not None:
            run = steps.run.name
            self._remember(run, names, _signature(self._graph.store, run, names), facts)

    def save(self) -> None:
        """Write what was added, unless the folder is read-only."""
        if not self._changed or self._key is None or self._graph.store.read_only:
            return
        value = {"key": self._key, "layouts": self._layouts, "runs": self._runs}
        try:
            write_json(self._file, value | {"checksum": _checksum(value)}, durable=False)
        except CrossliftError:  # a read-only or full disk; the file only saves time
            return

    @cached_property
    def _notes(self) -> dict[str, list[str]]:
        """Run -> its notes in logs/finished, of any definition."""
        found: dict[str, list[str]] = {}
        for name in noted(self._graph.store):
            found.setdefault(name.rpartition(".")[0], []).append(name)
        return found

    def _read(self, name: str) -> dict[str, Any] | None:
        """Read a note; None if it is damaged, or belongs to another definition of the study."""
        try:
            note = read_sealed(self._graph.store.finished_folder / name)
        except StoreError:
            return None
        if note is None or self._key is None or note.get("key") != self._key:
            return None
        kinds = {"names": list, "signature": str, "facts": dict}
        valid = all(isinstance(note.get(key), kind) for key, kind in kinds.items())
        return note if valid and all(isinstance(name, str) for name in note["names"]) else None

    def _remember(self, run: str, names: list[str], signature: str, facts: Mapping[str, Any]) -> None:
        layout = self._numbers.setdefault(tuple(names), len(self._layouts))
        if layout == len(self._layouts):
            self._layouts.append(names)
        self._runs[run] = [layout, signature, dict(facts)]
        self._changed = True


def definition_key(graph: StepGraph) -> str | None:
    """Fingerprint of everything beside a run's own files that decides whether it is finished.

    Args:
        graph: the steps of a prepared study.

    Returns:
        The fingerprint; None if a part of the study cannot be read.
    """
    study = graph.study
    fields = {name: value for name, value in vars(study).items() if name not in ("folder", "results", "absent")}
    try:
        samples = {run.model.name: run for run in graph.runs.values()}.values()
        return fingerprint(
            {
                "crosslift": __version__,
                "study": fields | {"corpora": {name: replace(one, path=None) for name, one in study.corpora.items()}},
                "corpora": {name: graph.corpus(name)["fingerprint"] for name in graph.corpora},
                "models": {name: [model.identity(), model.tokenizer] for name, model in graph.models.items()},
                "samples": {run.name: graph.steps(run).fingerprint for run in samples},
            }
        )
    except (CrossliftError, OSError):
        return None


# ------------------------------------------------------------------------------------------------- notes of workers


def write_note(graph: StepGraph, steps: RunSteps, facts: Mapping[str, Any], *, key: str | None) -> None:
    """Note that a run is finished and intact. Called by the worker that finished it, which holds its lease.

    Args:
        graph: the steps of the study.
        steps: the steps of the run.
        facts: what `FinishedRuns.facts` is to return, in JSON types.
        key: `definition_key` of the graph.
    """
    names = _files(graph.store, steps)
    if names is None:
        return
    run = steps.run.name
    note = {"key": key, "names": names, "signature": _signature(graph.store, run, names), "facts": dict(facts)}
    write_sealed(graph.store.finished_folder / f"{run}.{steps.fingerprint}", note, durable=False)


def noted(store: Store) -> frozenset[str]:
    """Return the notes of a study, `<run>.<fingerprint>`, by one listing. Results are never trusted to their names:
    `crosslift run` reads the markers."""
    try:
        with os.scandir(store.finished_folder) as entries:
            return frozenset(entry.name for entry in entries if entry.name[0] != ".")
    except OSError:
        return frozenset()


def remove_notes(store: Store, runs: Iterable[str]) -> None:
    """Remove the notes on runs that are not finished, such as damaged ones."""
    unfinished = set(runs)
    for note in noted(store):
        if note.rpartition(".")[0] in unfinished:
            remove(store.finished_folder / note)


# ------------------------------------------------------------------------------------------------------------- files


def _files(store: Store, steps: RunSteps) -> list[str] | None:
    """Return the markers of a run and the files that they list, relative to its folder; None if one lists no files."""
    folder = store.run_folder(steps.run.name)
    names = []
    for step in steps.steps():
        try:
            marker = read_marker(step.folder)
        except StoreError:
            return None
        if marker is None or "files" not in marker:
            return None
        place = step.folder.relative_to(folder).as_posix()
        names += [f"{place}/{name}" for name in (MARKER, JUDGED, *marker["files"])]
    return names


def _signature(store: Store, run: str, names: Iterable[str]) -> str:
    """Hash the sizes and modification times of files of a run."""
    digest = hashlib.blake2b(digest_size=12)
    prefix = f"{store.run_folder(run)}/"
    for name in names:
        try:
            stat = os.stat(prefix + name)  # noqa: PTH116 - a third of the time of Path.stat, and called per file
            digest.update(b"%d %d;" % (stat.st_size, stat.st_mtime_ns))
        except OSError:
            digest.update(b"-;")
    return digest.hexdigest()


def _checksum(value: Mapping[str, Any]) -> str | None:
    """Hash of what was written; None if something is missing."""
    if not {"key", "layouts", "runs"} <= value.keys():
        return None
    return fingerprint([value["key"], value["layouts"], value["runs"]])
