"""Finished runs that `crosslift status` has verified before, so that it need not compute their fingerprints again.

A run whose definition and files are unchanged is as finished as it was. `.finished.json` holds, per run, a hash of the
sizes and modification times of its markers and of the files that they list. One changed time is enough for the run to
be verified in full. The file may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crosslift import __version__
from crosslift.errors import CrossliftError, StoreError
from crosslift.execution.folder.checksums import JUDGED, MARKER, read_marker
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.steps import RunSteps
from crosslift.fingerprint import fingerprint, fingerprint_file
from crosslift.system.files import read_json, write_json

FILE = ".finished.json"


class FinishedRuns:
    """The runs of a study that were finished and intact when they were last verified.

    Args:
        graph: the steps of a prepared study.
    """

    def __init__(self, graph: StepGraph) -> None:
        self._graph = graph
        self._file = graph.store.folder / FILE
        self._key = _key(graph)
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
        """Return what was given to `add`; None if the run must be verified in full."""
        found = self._runs.get(run)
        if found is None:
            return None
        layout, signature, facts = found
        if _signature(self._graph.store.run_folder(run), self._layouts[layout]) != signature:
            del self._runs[run]
            self._changed = True
            return None
        return dict(facts)

    def add(self, steps: RunSteps, facts: Mapping[str, Any]) -> None:
        """Remember a run that is finished and intact.

        Args:
            steps: its steps.
            facts: what `facts` is to return, in JSON types.
        """
        folder = self._graph.store.run_folder(steps.run.name)
        names = []
        for step in steps.steps():
            place = step.folder.relative_to(folder).as_posix()
            try:
                marker = read_marker(step.folder)
            except StoreError:
                return
            if marker is None or "files" not in marker:
                return
            names += [f"{place}/{name}" for name in (MARKER, JUDGED, *marker["files"])]
        layout = self._numbers.setdefault(tuple(names), len(self._layouts))
        if layout == len(self._layouts):
            self._layouts.append(names)
        self._runs[steps.run.name] = [layout, _signature(folder, names), dict(facts)]
        self._changed = True

    def save(self) -> None:
        """Write what was added, unless the folder is read-only."""
        if not self._changed or self._key is None or self._graph.store.read_only:
            return
        value = {"key": self._key, "layouts": self._layouts, "runs": self._runs}
        try:
            write_json(self._file, value | {"checksum": _checksum(value)}, durable=False)
        except CrossliftError:  # a read-only or full disk; the file only saves time
            return


def _checksum(value: Mapping[str, Any]) -> str | None:
    """Hash of what was written; None if something is missing."""
    if not {"key", "layouts", "runs"} <= value.keys():
        return None
    return fingerprint([value["key"], value["layouts"], value["runs"]])


def _key(graph: StepGraph) -> str | None:
    """Fingerprint of everything beside a run's own files that decides whether it is finished."""
    try:
        samples = {run.model.name: run for run in graph.runs.values()}.values()
        return fingerprint(
            {
                "crosslift": __version__,
                "study": fingerprint_file(graph.study.folder / "study.toml"),
                "corpora": {name: graph.corpus(name)["fingerprint"] for name in graph.corpora},
                "models": {name: [model.identity(), model.tokenizer] for name, model in graph.models.items()},
                "samples": {run.name: graph.steps(run).fingerprint for run in samples},
            }
        )
    except (CrossliftError, OSError):
        return None


def _signature(folder: Path, names: list[str]) -> str:
    digest = hashlib.blake2b(digest_size=12)
    prefix = f"{folder}/"
    for name in names:
        try:
            stat = os.stat(prefix + name)  # noqa: PTH116 - a third of the time of Path.stat, and called per file
            digest.update(b"%d %d;" % (stat.st_size, stat.st_mtime_ns))
        except OSError:
            digest.update(b"-;")
    return digest.hexdigest()
