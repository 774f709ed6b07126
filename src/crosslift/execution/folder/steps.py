"""A step of a study: a folder, what goes into it, and a marker that is written last.

The marker `done.json` carries the inputs themselves beside their fingerprint. A fingerprint alone could only say that
something changed; with the inputs a stale step names the field and both values. It also lists size and SHA-256 of the
step's files, so that a damaged step counts as not finished and is made again (see `checksums`).
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
    """What is in a step's folder."""

    outputs: dict[str, Any] | None = None
    """What `finish` was given; None where the step is not finished or its marker is damaged."""
    damage: tuple[Damage, ...] = ()

    @property
    def whole(self) -> bool:
        """Finished, and nothing that the result stands on is damaged. Verdicts of judges stand beside it."""
        return self.outputs is not None and all(one.file == JUDGED for one in self.damage)


@dataclass(frozen=True, kw_only=True)
class Step:
    """Work that ends in one folder."""

    name: str
    """As messages call it: the folder relative to the study, `runs/pocket-m.en.s3/train`."""
    folder: Path
    inputs: Mapping[str, Any]
    """All that decides the result. A key `path` is shown in messages and not fingerprinted: what lies there is."""

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(_without_paths(self.inputs))

    required_outputs: tuple[str, ...] = ()
    """What others read of the outputs: a marker without one is damaged."""

    def state(self, *, thorough: bool = False) -> StepState:
        """Is it finished with these inputs, and whole? `thorough`: by hashing every file.

        Raises:
            StaleStep: it is finished with other inputs.
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
        if any(one.file == MARKER for one in damage):  # another step's; a whole folder that was moved here is stale
            return StepState(damage=damage)
        if marker["fingerprint"] != self.fingerprint:
            changes = "; ".join(differences(marker["inputs"], canonical(self.inputs)))
            raise StaleStep(f"{self.name} is stale: {changes}. Move the folder or rename the study.")
        return StepState(outputs=marker["outputs"], damage=damage)

    def result(self) -> dict[str, Any] | None:
        """What `finish` was given; None when the step is not finished, or damaged.

        Raises:
            StaleStep: it is finished with other inputs.
        """
        state = self.state()
        return state.outputs if state.whole else None

    def done(self) -> bool:
        """Is the step finished with these inputs, and whole? Finished with other inputs is not."""
        try:
            return self.state().whole
        except StaleStep:
            return False

    def begin(self) -> None:
        """Make the folder ready. What an earlier, killed start left is kept only if it had the same inputs."""
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
        """Write the marker, after all files of the folder are on the disk. `outputs`: facts about the result."""
        remove(self.folder / STARTED)
        sync_folder(self.folder)
        marker = {"fingerprint": self.fingerprint, "inputs": canonical(self.inputs), "outputs": outputs}
        files = checksums.records_of(self.folder)
        checksums.write_sealed(self.folder / MARKER, marker | {"step": self.name, "files": files})

    @contextlib.contextmanager
    def rewriting(self, file: str) -> Iterator[Path]:
        """Write a file that is made after the step was finished, and list it in the marker. Killed within, the marker
        does not list it. Nobody else may be writing the step."""
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
    """One phrase per changed field: `training.learning_rate was 1e-05, the study says 1e-04`."""
    return list(_differences(was, now, ""))


def _differences(was: Any, now: Any, path: str) -> Iterator[str]:
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        for key in sorted({*was, *now}):
            inner = f"{path}.{key}" if path else key
            if key not in was:
                yield f"{inner} was not given, the study says {_show(now[key])}"
            elif key not in now:
                yield f"{inner} was {_show(was[key])}, the study does not give it"
            else:
                yield from _differences(was[key], now[key], inner)
    elif was != now or type(was) is not type(now):
        yield f"{path} was {_show(was)}, the study says {_show(now)}"


def _show(value: Any) -> str:
    """Short, as a study file would have it."""
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
        """Of everything that decides the run's results."""
        return fingerprint([step.fingerprint for step in self.steps()])

    def steps(self) -> Iterator[Step]:
        if self.train is not None:
            yield self.train
        for evaluation in self.evaluations:
            yield evaluation.step


@dataclass(kw_only=True)
class RunState:
    """What of a run is done."""

    steps: RunSteps
    trained: bool
    results: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    """(evaluation, language) -> what its done-marker says, for the finished ones; one with errors of our own is
    finished, so that its scores are seen, and missing, so that it is tried again. Damaged ones are not finished."""
    damage: list[Damage] = field(default_factory=list)
    """What is damaged, in the order of the steps."""

    @property
    def missing(self) -> list[EvaluationStep]:
        return [one for one in self.steps.evaluations if not self._whole(one)]

    @property
    def num_evaluated(self) -> int:
        return len(self.steps.evaluations) - len(self.missing)

    @property
    def done(self) -> bool:
        return (self.trained or self.training_is_damaged) and not self.missing

    @property
    def training_is_damaged(self) -> bool:
        """Evaluations that were finished on the checkpoint stand: it is needed for further ones only."""
        return self.steps.train is not None and any(one.step == self.steps.train.name for one in self.damage)

    def _whole(self, one: EvaluationStep) -> bool:
        result = self.results.get((one.evaluation.name, one.language))
        return result is not None and not result["num_errors"]
