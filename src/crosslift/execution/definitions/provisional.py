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
            same = changed <= set(SAME_ROWS)
            known = marker["outputs"].get("languages", {}) if same else {}
            tags = self.study.corpora[name].languages
            kept = {key: value for key, value in marker["outputs"].items() if same or key != "read_as"}
            self._corpora[name] = kept | {
                "fingerprint": NOT_READ,
                "languages": {tag: known.get(tag, NOT_READ) for tag in tags},
            }
            return self._corpora[name]

    @property
    def assumed(self) -> bool:
        """Whether a corpus must be read or a mixture drawn, which may turn out to be what it was."""
        for name in self.corpora:
            if NOT_READ in self.corpus(name)["languages"].values():
                return True
        return any(self._is_redrawn(mixture) for mixture in self.study.mixtures)

    def _is_redrawn(self, mixture: str) -> bool:
        """Whether a mixture that was drawn before must be drawn again with other settings."""
        marker = self._drawn_before(mixture)
        return marker is not None and any(marker["inputs"][key] != now for key, now in self._settings(mixture).items())

    def _settings(self, mixture: str) -> dict[str, Any]:
        inputs = canonical(self.mixture_step(mixture).inputs)
        return {key: inputs[key] for key in ("mixture", "data_seed")}

    def _drawn_before(self, mixture: str) -> dict[str, Any] | None:
        try:
            return checksums.read_marker(self.store.mixture_folder(mixture))
        except StoreError:
            return None

    def _first_drawing(self, mixture: str) -> dict[str, Any]:
        marker = self._drawn_before(mixture)
        if marker is None or self._is_redrawn(mixture):
            return super()._first_drawing(mixture)
        drawn: dict[str, Any] = marker["outputs"].get("drawn_as", {})
        return drawn

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
