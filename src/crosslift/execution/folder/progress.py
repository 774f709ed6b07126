"""Progress of each run, exchanged through files.

Workers may be local processes or jobs on a cluster. Each writes one small progress file per run, and observers read
those files. `crosslift run` and `crosslift status --watch` therefore show the same information, and the death of an
observer does not affect the workers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from crosslift.errors import StoreError
from crosslift.system.files import read_json, write_json

INTERVAL_SECONDS = 0.5
INTERVAL_OF_MANY_SECONDS = 10.0
"""Interval of workers that are among many on a shared disk: a thousand of them would write 2,000 files a second."""
EVALUATION_STEPS = 20
"""Weight of one evaluation in one language, in training steps, until the durations of both have been measured."""
MIN_STEPS_TIMED = 5
"""Minimum number of timed training steps for an estimate. Evaluations need one per evaluation of a run, because their
duration differs between languages."""


@dataclass(kw_only=True)
class Progress:
    """Progress of one run, as last reported by its worker."""

    phase: str = ""
    """"loading" | "training" | "evaluating math.en" | "done"."""
    step: int = 0
    num_steps: int = 0
    evaluations: int = 0
    num_evaluations: int = 0
    loss: float | None = None
    tokens_per_second: float | None = None
    train_seconds: float = 0.0
    """Time in seconds that this worker spent on the steps since `first_step`."""
    first_step: int = 0
    evaluate_seconds: float = 0.0
    first_evaluation: int = 0
    seconds: float = 0.0
    """Time in seconds since this worker leased the run, including loading and writing."""
    curve: dict[str, list[float | None]] = field(default_factory=dict)
    """Training losses so far, as in `training.trainer.Progress.curve`."""

    @property
    def last_losses(self) -> dict[str, float]:
        """Language -> its last recorded loss, in nats per completion token; without "all"."""
        known = {name: [loss for loss in losses if loss is not None] for name, losses in self.curve.items()}
        return {name: losses[-1] for name, losses in known.items() if losses and name not in ("step", "all")}


class ProgressWriter:
    """Writes the progress of one run, at most every half second and at every change of phase.

    Args:
        folder: the run's folder.
        num_evaluations: evaluations of the run.
        evaluations: evaluations that are already finished.
        listener: called with the progress after every change.
        interval_seconds: time between two writes within a phase.
    """

    def __init__(
        self,
        folder: Path,
        *,
        num_evaluations: int,
        evaluations: int = 0,
        listener: Callable[[Progress], None] = lambda progress: None,
        interval_seconds: float = INTERVAL_SECONDS,
    ) -> None:
        self._listener = listener
        self._interval = interval_seconds
        self._path = folder / "progress.json"
        self._written = 0.0
        self._started = time.monotonic()
        self.now = Progress(num_evaluations=num_evaluations, evaluations=evaluations, first_evaluation=evaluations)

    def update(self, **changes: Any) -> None:
        """Set fields of `Progress` and write the file if it is due."""
        phase = self.now.phase
        for name, value in changes.items():
            setattr(self.now, name, value)
        self._listener(self.now)
        if self.now.phase != phase or time.monotonic() - self._written >= self._interval:
            self.now.seconds = time.monotonic() - self._started
            write_json(self._path, asdict(self.now), durable=False)
            self._written = time.monotonic()


def read_progress(folder: Path) -> Progress | None:
    """Read the progress of a run.

    Args:
        folder: the run's folder.

    Returns:
        The last reported progress; None if no worker has started the run, or the file is damaged.
    """
    try:
        found = Progress(**read_json(folder / "progress.json"))
    except (StoreError, TypeError):  # missing or damaged; the file is only informative
        return None
    if not isinstance(found.curve, dict) or not all(_is_column(column) for column in found.curve.values()):
        return None
    numbers = [value for name, value in vars(found).items() if name not in ("phase", "curve") and value is not None]
    valid = isinstance(found.phase, str) and all(isinstance(number, (int, float)) for number in numbers)
    return found if valid and found.step is not None and found.evaluations is not None else None


def _is_column(values: Any) -> bool:
    return isinstance(values, list) and all(value is None or isinstance(value, (int, float)) for value in values)


@dataclass(frozen=True, kw_only=True)
class ExpectedWork:
    """Work of a run, and the part that was finished before the observer started."""

    num_steps: int
    num_evaluations: int
    trained: bool
    evaluations: int
    model: str = ""
    """Name of the base model. Durations are measured for each model."""
    num_parameters: int | None = None
    """Parameters of the base model, by which durations of models that have not been measured are scaled."""


@dataclass(kw_only=True)
class TotalProgress:
    """Progress of all runs together, with the time left."""

    done: float = 0.0
    total: float = 0.0
    """In training steps of the first model; an evaluation has the weight of its measured duration, initially
    EVALUATION_STEPS."""
    seconds_left: float | None = None
    """Estimated remaining time in seconds; None until enough has been measured."""
    active: dict[str, Progress] = field(default_factory=dict)


def total_progress(
    runs: Iterable[tuple[str, ExpectedWork, Progress | None, bool]], *, num_workers: int
) -> TotalProgress:
    """Sum the progress of runs and estimate the remaining time.

    The estimate is the sum of the remaining steps and evaluations at their mean measured durations, plus the mean
    overhead of finished runs for each run that has not started, divided by the number of workers. There is no estimate
    for a kind of work that has not been measured: the duration of an evaluation does not follow from that of a step.

    Durations are measured for each model, because the runs of a study are ordered by model and usually begin with the
    smallest: its steps say too little of the others. The durations of a model that has not been measured are those of
    the measured ones times the ratio of their parameters.

    Args:
        runs: (name, expected work, progress, whether a worker holds the run) per run.
        num_workers: number of workers.

    Returns:
        Progress of all runs together.
    """
    result = TotalProgress()
    sums: dict[str, _Sums] = {}
    for name, expected, progress, active in runs:
        sums.setdefault(expected.model, _Sums(num_parameters=expected.num_parameters)).add(expected, progress)
        if active and progress is not None:
            result.active[name] = progress
    paces = _paces(sums)
    for model, one in sums.items():
        per_step, per_evaluation, scale = paces[model]
        weight = per_evaluation / per_step if per_step and per_evaluation else EVALUATION_STEPS
        done = one.steps + weight * one.evaluations
        result.done += scale * done
        result.total += scale * (done + one.steps_left + weight * one.evaluations_left)
    seconds = _seconds_left(sums, paces)
    if seconds is not None:
        result.seconds_left = seconds / max(1, min(num_workers, len(result.active) or num_workers))
    return result


_Pace = tuple[float | None, float | None, float]
"""Duration of a step and of an evaluation in seconds, None if unknown; duration relative to the first model."""


def _paces(sums: Mapping[str, _Sums]) -> dict[str, _Pace]:
    """Return model -> durations, measured or scaled from the measured models by the number of parameters."""
    steps = {model: one.per_step for model, one in sums.items()}
    evaluations = {model: one.per_evaluation for model, one in sums.items()}
    sizes = {model: float(one.num_parameters or 1) for model, one in sums.items()}
    if not all(one.num_parameters for one in sums.values()):
        sizes = dict.fromkeys(sums, 1.0)
    paces: dict[str, _Pace] = {}
    for model in sums:
        step, evaluation = _scaled(model, steps, sizes), _scaled(model, evaluations, sizes)
        first = next(iter(sums))
        reference = _scaled(first, steps, sizes)
        relative = step / reference if step and reference else sizes[model] / sizes[first]
        paces[model] = step, evaluation, relative
    return paces


def _scaled(model: str, measured: Mapping[str, float | None], sizes: Mapping[str, float]) -> float | None:
    """Return the duration of a model: its own, else the mean of the measured ones per parameter times its size."""
    if measured[model] is not None:
        return measured[model]
    known = {other: seconds for other, seconds in measured.items() if seconds is not None}
    if not known:
        return None
    return sizes[model] * sum(known.values()) / sum(sizes[other] for other in known)


def _seconds_left(sums: Mapping[str, _Sums], paces: Mapping[str, _Pace]) -> float | None:
    """Return the remaining time of a single worker in seconds; None if a kind of remaining work is unmeasured."""
    others = [seconds for one in sums.values() for seconds in one.other_seconds]
    overhead = sum(others) / len(others) if others else 0.0
    total, measured = 0.0, False
    for model, one in sums.items():
        step, evaluation, _ = paces[model]
        if (one.steps_left and step is None) or (one.evaluations_left and evaluation is None):
            return None
        measured |= step is not None or evaluation is not None
        total += one.steps_left * (step or 0.0) + one.evaluations_left * (evaluation or 0.0)
        total += one.runs_to_begin * overhead
    return total if measured else None


@dataclass(kw_only=True)
class _Sums:
    """Sums over the runs of one model: finished work, remaining work and measured times."""

    num_parameters: int | None = None
    steps: int = 0
    evaluations: int = 0
    steps_left: int = 0
    evaluations_left: int = 0
    runs_to_begin: int = 0
    steps_timed: int = 0
    evaluations_timed: int = 0
    step_seconds: float = 0.0
    evaluation_seconds: float = 0.0
    other_seconds: list[float] = field(default_factory=list)
    """Overhead in seconds of each finished run, outside training and evaluation."""
    evaluations_of_a_run: int = 0

    def add(self, expected: ExpectedWork, progress: Progress | None) -> None:
        """Add a run."""
        step = expected.num_steps if expected.trained else 0
        evaluations = expected.evaluations
        if progress is not None:
            step = max(step, min(progress.step, expected.num_steps))
            evaluations = max(evaluations, progress.evaluations)
            self.step_seconds += progress.train_seconds
            self.steps_timed += max(progress.step - progress.first_step, 0)
            self.evaluation_seconds += progress.evaluate_seconds
            self.evaluations_timed += max(progress.evaluations - progress.first_evaluation, 0)
            if progress.phase == "done" and progress.seconds:
                others = progress.seconds - progress.train_seconds - progress.evaluate_seconds
                self.other_seconds.append(max(others, 0.0))
        self.steps += step
        self.evaluations += evaluations
        self.steps_left += expected.num_steps - step
        self.evaluations_left += expected.num_evaluations - evaluations
        self.runs_to_begin += progress is None and evaluations < expected.num_evaluations
        self.evaluations_of_a_run = max(self.evaluations_of_a_run, expected.num_evaluations)

    @property
    def per_step(self) -> float | None:
        """Mean duration of a training step in seconds; None until MIN_STEPS_TIMED steps were timed."""
        return self.step_seconds / self.steps_timed if self.steps_timed >= MIN_STEPS_TIMED else None

    @property
    def per_evaluation(self) -> float | None:
        """Mean duration of an evaluation in seconds; None until one run's number of evaluations was timed."""
        if not self.evaluations_timed or self.evaluations_timed < self.evaluations_of_a_run:
            return None
        return self.evaluation_seconds / self.evaluations_timed
