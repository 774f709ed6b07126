"""The step graph of a study file that was edited but not prepared, for `plan` and `status`.

Nothing is moved, and no corpus is read.
"""

from __future__ import annotations

import contextlib
from functools import cached_property
from pathlib import Path
from typing import Any

from crosslift.errors import NotPrepared, StoreError
from crosslift.execution.definitions.changes import NOT_READ, differences
from crosslift.execution.definitions.records import present_definition
from crosslift.execution.folder import checksums, earlier
from crosslift.execution.folder.base_models import BaseModel
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.steps import RunState, Step, StepState
from crosslift.fingerprint import canonical

SAME_ROWS = ("languages", "path")
"""Fields of a corpus whose change leaves the rows of the other languages as they are."""


class ProvisionalGraph(StepGraph):
    """Step graph that describes a study as it will be after `prepare`.

    A corpus that must be read again is assumed to keep its rows if only languages were added or removed; after any
    other change the content of every language counts as changed. A renamed run or evaluation has the results that lie
    under its earlier name.

    Args:
        graph: the step graph of the study.
    """

    def __init__(self, graph: StepGraph) -> None:
        super().__init__(graph.study, graph.store)
        self.hashes = graph.hashes
        self._graph = graph
        with contextlib.suppress(NotPrepared, StoreError):
            for name in graph.corpora:
                graph.corpus(name)
            self._steps = graph._steps  # nothing is assumed, so the steps are the same

    @cached_property
    def models(self) -> dict[str, BaseModel]:
        """The identified models of `wanted_models`, shared with the original graph."""
        return self._graph.models

    def corpus(self, name: str) -> dict[str, Any]:
        """Return the metadata of a prepared corpus, or the assumed ones of a corpus that must be read.

        Raises:
            StoreError: its marker is damaged.
        """
        try:
            return super().corpus(name)
        except NotPrepared:
            step = self.corpus_step(name)
            marker = checksums.read_marker(step.folder) or {"inputs": {}, "outputs": {}}
            changed = {one.path for one in differences(marker["inputs"], canonical(step.inputs))}
            known = marker["outputs"].get("languages", {}) if changed <= set(SAME_ROWS) else {}
            tags = self.study.corpora[name].languages
            self._corpora[name] = marker["outputs"] | {
                "fingerprint": NOT_READ,
                "languages": {tag: known.get(tag, NOT_READ) for tag in tags},
            }
            return self._corpora[name]

    def _look(self, step: Step, state: RunState, *, thorough: bool = False) -> StepState:
        found = super()._look(step, state, thorough=thorough)
        if found.outputs is not None or found.damage or (folder := self._renamed.get(step.fingerprint)) is None:
            return found
        marker = earlier.intact_marker(folder, step.fingerprint, thorough=thorough)
        if marker is None:
            return found
        state.kept_aside = True
        return StepState(outputs=marker["outputs"], kept_aside=True)

    @cached_property
    def _renamed(self) -> dict[str, Path]:
        """Fingerprint -> folder of steps of the previous definition."""
        try:
            present = present_definition(self.store)
            steps = None if present is None else checksums.read_sealed(present.folder / "steps.json")
        except StoreError:
            return {}
        return {fingerprint: self.store.folder / name for name, fingerprint in (steps or {}).items()}
