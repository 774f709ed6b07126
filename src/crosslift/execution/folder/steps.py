"""Steps of a study: each step has a folder, inputs, and a done-marker that is written last.

A step is what its inputs say: their fingerprint decides whether a finished step belongs to the present study file.
Results of an earlier definition are never overwritten; they are moved to `earlier/` (see `earlier`), and moved back
when the study asks for them again. The marker `done.json` contains the inputs in addition to their fingerprint, so that
a change can be named by its field. It also lists the size and SHA-256 of the step's files, so that a damaged step is
considered unfinished and is run again (see `checksums`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from crosslift.errors import StoreError
from crosslift.execution.folder import checksums, earlier
from crosslift.execution.folder.checksums import JUDGED, MARKER, STARTED, Damage
from crosslift.execution.folder.tables import rename_scores
from crosslift.fingerprint import canonical, canonical_text, fingerprint, fingerprint_of_texts
from crosslift.studies.evaluation import Evaluation
from crosslift.studies.run import Run
from crosslift.system.files import read_json, remove, remove_leftovers, sync_folder, write_json


@dataclass(frozen=True, kw_only=True)
class StepState:
    """State of a step's folder."""

    outputs: dict[str, Any] | None = None
    """Arguments of `finish`; None if the step is not finished or its marker is damaged."""
    damage: tuple[Damage, ...] = ()
    kept_aside: bool = False
    """Whether the result is among those of earlier definitions; `take_back` moves it into the step's folder."""

    @property
    def intact(self) -> bool:
        """Whether the step is finished and intact. Damaged verdicts of a judge do not affect the step's result."""
        return self.outputs is not None and all(one.file == JUDGED for one in self.damage)


@dataclass(frozen=True, kw_only=True)
class Step:
    """Unit of work whose results are in one folder."""

    name: str
    """Name in messages: the folder relative to the study, `runs/pocket-m.en.s3/train`."""
    folder: Path
    inputs: Mapping[str, Any]
    """Everything that determines the result. Keys `path` are recorded but not fingerprinted, because the content of the
    file is part of the inputs."""
    required_outputs: tuple[str, ...] = ()
    """Outputs that other steps read; a marker that lacks one of them is damaged."""
    archive: Path | None = None
    """Folder of the results of earlier definitions of this kind of step, by fingerprint; None: they are overwritten."""

    @cached_property
    def fingerprint(self) -> str:
        """Fingerprint of the inputs without paths."""
        return fingerprint_of_inputs(self.inputs)

    @property
    def aside(self) -> Path | None:
        """Folder of this step's result while the study asks for another one."""
        return None if self.archive is None else self.archive / self.fingerprint

    def state(self, *, thorough: bool = False) -> StepState:
        """Determine whether the step is finished with these inputs, and which files are damaged.

        Args:
            thorough: hash every file.

        Returns:
            The state of the step's folder; that of its result in `earlier/` if the folder holds none or another one.
        """
        try:
            marker = checksums.read_marker(self.folder)
            if marker is None:
                return self._state_aside(thorough=thorough)
            foreign = marker.get("step", self.name) != self.name
            if foreign:
                what = f"belongs to {marker['step']}"
                return StepState(damage=(checksums.name_damage(self.folder, MARKER, what),))
            if marker["fingerprint"] != self.fingerprint:
                return self._state_aside(thorough=thorough)
            missing = [key for key in self.required_outputs if key not in marker["outputs"]]
            if missing:
                raise StoreError(f"{self.folder / MARKER} lacks {missing[0]}")
        except StoreError as error:
            return StepState(damage=(checksums.damage_of(self.folder, error),))
        return StepState(
            outputs=marker["outputs"],
            damage=tuple(checksums.step_damage(self.folder, marker, thorough=thorough)),
        )

    def _state_aside(self, *, thorough: bool) -> StepState:
        marker = None if self.aside is None else earlier.intact_marker(self.aside, self.fingerprint, thorough=thorough)
        if marker is None or any(key not in marker["outputs"] for key in self.required_outputs):
            return StepState()
        return StepState(outputs=marker["outputs"], kept_aside=True)

    def result(self) -> dict[str, Any] | None:
        """Return the arguments of `finish`; None if the step is not finished or is damaged."""
        state = self.state()
        return state.outputs if state.intact else None

    def done(self) -> bool:
        """Return whether the step's folder holds the intact result of these inputs."""
        state = self.state()
        return state.intact and not state.kept_aside

    def set_aside(self) -> None:
        """Move what another definition of the study left in the folder to `earlier/`, finished or not."""
        found = earlier.content_fingerprint(self.folder)
        if self.archive is not None and found not in (None, self.fingerprint):
            earlier.keep(self.folder, self.archive / str(found))

    def take_back(self, *, renamed: earlier.Renamed | None = None) -> bool:
        """Move the step's result from `earlier/` into its folder, and set aside whatever the folder holds.

        Args:
            renamed: rewrites the names in the result's tables; needed for evaluations, whose run may have been renamed.

        Returns:
            Whether there was a result in `earlier/`.
        """
        if self.aside is None or not self.state().kept_aside:
            return False
        self.set_aside()
        earlier.give_back(self.aside, self.folder, step=self.name, renamed=renamed)
        return True

    def begin(self) -> None:
        """Prepare the folder. Files of an interrupted attempt are kept if it had the same inputs, also in `earlier/`;
        what another definition left is set aside."""
        self.set_aside()
        if self.aside is not None and not self.folder.exists():
            earlier.resume(self.aside, self.folder)
        try:
            started = read_json(self.folder / STARTED)
        except StoreError:
            started = None
        if not isinstance(started, dict) or started.get("fingerprint") != self.fingerprint:
            remove(self.folder)
            write_json(self.folder / STARTED, {"fingerprint": self.fingerprint}, durable=False)
        remove_leftovers(self.folder, below=True)
        remove(self.folder / MARKER)

    def finish(self, **outputs: Any) -> None:
        """Sync all files of the folder to disk, then write the done-marker.

        Args:
            **outputs: properties of the result, in JSON types.
        """
        remove(self.folder / STARTED)
        sync_folder(self.folder)
        marker = {"fingerprint": self.fingerprint, "inputs": canonical(self.inputs), "outputs": outputs}
        files = checksums.records_of(self.folder)
        checksums.write_sealed(self.folder / MARKER, marker | {"step": self.name, "files": files})

    def discard(self, file: str) -> None:
        """Remove a file of a finished step that is computed from other steps and is written again by `rewriting`.

        Args:
            file: name relative to the step's folder.
        """
        remove(self.folder / file)
        with contextlib.suppress(StoreError):  # a damaged marker lists nothing
            self._list(file, present=False)

    @contextlib.contextmanager
    def rewriting(self, file: str) -> Iterator[Path]:
        """Context manager for writing a file after the step is finished; the marker lists it afterwards.

        If the process is killed in the block, the marker does not list the file. No other process may write to the step
        at the same time.

        Args:
            file: name relative to the step's folder.

        Yields:
            The path to write.
        """
        self._list(file, present=False)
        yield self.folder / file
        self._list(file, present=True)

    def _list(self, file: str, *, present: bool) -> None:
        marker = checksums.read_marker(self.folder)
        if marker is None or "files" not in marker:
            return
        files = {name: record for name, record in marker["files"].items() if name != file}
        if present:
            files |= {file: checksums.record_of(self.folder / file)}
        if files != marker["files"]:
            checksums.write_sealed(self.folder / MARKER, marker | {"files": files})


def fingerprint_of_inputs(inputs: Mapping[str, Any]) -> str:
    """Compute the fingerprint of a step from its inputs, also as recorded in a marker or in run.json."""
    return fingerprint_of_texts(
        {
            key: value.text if isinstance(value, SharedInputs) else canonical_text(_without_paths(value))
            for key, value in inputs.items()
            if key != "path"
        }
    )


class SharedInputs(Mapping[str, Any]):
    """A part of the inputs that many steps have in common, whose canonical text is computed once.

    Args:
        values: the part; must not be changed afterwards.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    @cached_property
    def text(self) -> str:
        """The canonical text without paths."""
        return canonical_text(_without_paths(self._values))

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def _without_paths(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_paths(element) for key, element in value.items() if key != "path"}
    return value


@dataclass(frozen=True, kw_only=True)
class EvaluationStep:
    """Step of one evaluation in one language."""

    evaluation: Evaluation
    language: str
    step: Step


@dataclass(frozen=True, kw_only=True)
class RunSteps:
    """The steps of one run."""

    run: Run
    train: Step | None
    """None for a base model."""
    evaluations: tuple[EvaluationStep, ...]

    @property
    def fingerprint(self) -> str:
        """Fingerprint of everything that determines the run's results."""
        return fingerprint([step.fingerprint for step in self.steps()])

    @property
    def languages(self) -> dict[str, list[str]]:
        """Evaluation -> its languages."""
        found: dict[str, list[str]] = {}
        for one in self.evaluations:
            found.setdefault(one.evaluation.name, []).append(one.language)
        return found

    def take_back(self) -> int:
        """Move the run's results from `earlier/` into its folder, and set aside what the study does not ask for.

        Returns:
            Number of steps whose results were moved back.
        """
        found = 0 if self.train is None else int(self.train.take_back())
        for one in self.evaluations:
            renamed = partial(rename_scores, run=self.run.name, evaluation=one.evaluation.name)
            found += one.step.take_back(renamed=renamed)
        return found

    def steps(self) -> Iterator[Step]:
        """Yield the training step, if any, and the evaluation steps."""
        if self.train is not None:
            yield self.train
        for evaluation in self.evaluations:
            yield evaluation.step


@dataclass(kw_only=True)
class RunState:
    """State of a run's steps."""

    steps: RunSteps
    trained: bool
    results: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    """(evaluation, language) -> outputs in the done-marker, for finished evaluations. An evaluation with sample errors
    is finished, so that its scores are used, and also missing, so that it is retried. Damaged ones are not finished."""
    damage: list[Damage] = field(default_factory=list)
    """Damaged files, in the order of the steps."""
    kept_aside: bool = False
    """Whether a finished step is among the results of earlier definitions and must be moved back before it is read."""

    @property
    def missing(self) -> list[EvaluationStep]:
        """Evaluation steps that are not finished or have sample errors."""
        return [one for one in self.steps.evaluations if not self._is_complete(one)]

    @property
    def num_evaluated(self) -> int:
        """Number of evaluation steps that are finished without sample errors."""
        return len(self.steps.evaluations) - len(self.missing)

    @property
    def done(self) -> bool:
        """Whether no work remains for the run."""
        return (self.trained or self.training_is_damaged) and not self.missing

    @property
    def training_is_damaged(self) -> bool:
        """Whether the training step is damaged. Finished evaluations remain valid; only further ones need it."""
        return self.steps.train is not None and any(one.step == self.steps.train.name for one in self.damage)

    def _is_complete(self, one: EvaluationStep) -> bool:
        result = self.results.get((one.evaluation.name, one.language))
        return result is not None and not result["num_errors"]
