"""What the folder records of all runs: their definition, and which of them other workers have finished.

A thousand workers on one disk ask for both before every run, so both are read again only when they must be.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from crosslift.errors import NotPrepared
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.store import Store
from crosslift.execution.inspection.finished import noted

LIST_SECONDS = 60.0
"""Time between two looks of a worker that is among many at what the others have finished."""


class RecordedDefinition:
    """The runs of lock.json, read again only when the file changes.

    Another `crosslift run` may prepare an edited study file while workers execute the previous definition. Such a
    worker stops before its next run, and an error that results from moved files is not recorded as an error of the run.
    """

    def __init__(self, graph: StepGraph) -> None:
        self._graph = graph
        self._stat: tuple[int, int, int] | None = None
        self.recorded: Mapping[str, Any] = {}
        """"runs" of lock.json, as last read."""

    def check(self, names: Sequence[str]) -> None:
        """Verify that lock.json still lists runs as this worker's study file defines them.

        Raises:
            NotPrepared: it does not.
            StoreError: the study has not been prepared.
        """
        try:
            found = self._graph.store.lock_file.stat()
            stat = (found.st_ino, found.st_size, found.st_mtime_ns)
        except OSError:
            stat = None
        if stat is None or stat != self._stat:
            self.recorded, self._stat = self._graph.store.lock()["runs"], stat
        for name in names:
            if not self._graph.is_recorded(self._graph.runs[name], self.recorded):
                raise NotPrepared(
                    f"{name} is not prepared as study.toml defines it: the file was edited. Finished results are kept. "
                    f"Run: crosslift run {self._graph.study.folder}"
                )


class FinishedElsewhere:
    """What other workers have finished, listed at most once a minute."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._listed: float | None = None
        self._notes: frozenset[str] = frozenset()

    def has(self, run: str, fingerprint: str) -> bool:
        """Return whether a run was noted as finished with these steps."""
        now = time.monotonic()
        if self._listed is None or now - self._listed >= LIST_SECONDS:
            self._notes, self._listed = noted(self._store), now
        return f"{run}.{fingerprint}" in self._notes
