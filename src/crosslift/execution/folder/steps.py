"""Steps of a study: each step has a folder, inputs, and a done-marker that is written last.

The marker `done.json` contains the inputs in addition to their fingerprint, so that the message about a stale step
names the changed field with both values. It also lists the size and SHA-256 of the step's files, so that a damaged step
is considered unfinished and is run again (see `checksums`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from crosslift.errors import StaleStep, StoreError
from crosslift.execution.folder import checksums
from crosslift.execution.folder.checksums import JUDGED, MARKER, STARTED, Damage
from crosslift.fingerprint import canonical, fingerprint
from crosslift.studies.run import Run
from crosslift.studies.study import Evaluation
from crosslift.system.files import read_json, remove, remove_leftovers, sync_folder, write_json


@dataclass(frozen=True, kw_only=True)
class StepState:
    """State of a step's folder."""

    outputs: dict[str, Any] | None = None
    """Arguments of `finish`; None if the step is not finished or its marker is damaged."""
    damage: tuple[Damage, ...] = ()

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
    """Everything that determines the result. Keys `path` are shown in messages but not fingerprinted, because the
    content of the file is part of the inputs."""

    @cached_property
    def fingerprint(self) -> str:
        """Fingerprint of the inputs without paths."""
        return fingerprint(_without_paths(self.inputs))

    required_outputs: tuple[str, ...] = ()
    """Outputs that other steps read; a marker that lacks one of them is damaged."""

    def state(self, *, thorough: bool = False) -> StepState:
        """Determine whether the step is finished with these inputs, and which files are damaged.

        Args:
            thorough: hash every file.

        Returns:
            The state of the step's folder.

        Raises:
            StaleStep: the step is finished with other inputs.
        """
        try:
            marker = checksums.read_marker(self.folder)
            if marker is None:
                return StepState()
            missing = [key for key in self.required_outputs if key not in marker["outputs"]]
            if missing and marker["fingerprint"] == self.fingerprint:
                raise StoreError(f"{self.folder / MARKER} lacks {missing[0]}")
        except StoreError as error:
            return StepState(damage=(checksums.damage_of(self.folder, error),))
        damage = tuple(checksums.step_damage(self.folder, marker, thorough=thorough))
        if any(one.file == MARKER for one in damage):  # another step's marker; an intact folder moved here is stale
            return StepState(damage=damage)
        if marker["fingerprint"] != self.fingerprint:
            changes = "; ".join(differences(marker["inputs"], canonical(self.inputs)))
            raise StaleStep(f"{self.name} is stale: {changes}. Move the folder or rename the study.")
        return StepState(outputs=marker["outputs"], damage=damage)

    def result(self) -> dict[str, Any] | None:
        """Return the arguments of `finish`; None if the step is not finished or is damaged.

        Raises:
            StaleStep: the step is finished with other inputs.
        """
        state = self.state()
        return state.outputs if state.intact else None

    def done(self) -> bool:
        """Return whether the step is finished with these inputs and intact; False if it has other inputs."""
        try:
            return self.state().intact
        except StaleStep:
            return False

    def begin(self) -> None:
        """Prepare the folder. Files of an interrupted attempt are kept only if it had the same inputs."""
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


def _without_paths(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_paths(element) for key, element in value.items() if key != "path"}
    return value


def differences(was: Any, now: Any) -> list[str]:
    """Describe the changes between two values of a step's inputs.

    Args:
        was: recorded inputs.
        now: current inputs.

    Returns:
        One phrase per changed field: `training.learning_rate was 1e-05 and is now 1e-04`.
    """
    return list(_differences(was, now, ""))


def _differences(was: Any, now: Any, path: str) -> Iterator[str]:
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        for key in sorted({*was, *now}):
            inner = f"{path}.{key}" if path else key
            if key not in was:
                yield f"{inner} was not set and is now {_show(now[key])}"
            elif key not in now:
                yield f"{inner} was {_show(was[key])} and is now not set"
            else:
                yield from _differences(was[key], now[key], inner)
    elif was != now or type(was) is not type(now):
        yield f"{path} was {_show(was)} and is now {_show(now)}"


def _show(value: Any) -> str:
    """Format a value as in a study file, truncated to 200 characters."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value != 0 and not 1e-3 <= abs(value) < 1e6:
        digits, exponent = f"{value:e}".split("e")
        return f"{digits.rstrip('0').rstrip('.')}e{exponent}"
    if isinstance(value, Mapping):
        text = "{" + ", ".join(f"{key} = {_show(element)}" for key, element in value.items()) + "}"
    elif isinstance(value, (list, tuple)):
        text = "[" + ", ".join(map(_show, value)) + "]"
    else:
        text = "none" if value is None else str(value)
    return text if len(text) <= 200 else text[:197] + "..."


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
