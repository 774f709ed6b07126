"""How far each run is, told through the disk.

Workers may be processes here, jobs on a cluster or somebody else's; all of them write one small file per run, and
whoever watches reads the folder. So `crosslift run` and `crosslift status --watch` show the same, and a watcher that
dies takes nothing with it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from crosslift.errors import StoreError
from crosslift.system.files import read_json, write_json

INTERVAL_SECONDS = 0.5
EVALUATION_STEPS = 20
"""How many training steps one evaluation in one language weighs in the overall bar until both have been measured."""
MIN_STEPS_TIMED = 5
"""Of fewer training steps nothing is foretold. Of evaluations one run's worth is needed: languages differ in length."""


@dataclass(kw_only=True)
class Progress:
    """One run, as its worker last saw it."""

    phase: str = ""
    """"loading" | "training" | "evaluating math.en" | "done"."""
    step: int = 0
    num_steps: int = 0
    evaluations: int = 0
    num_evaluations: int = 0
    loss: float | None = None
    tokens_per_second: float | None = None
    train_seconds: float = 0.0
    """Spent by this worker on the steps since `first_step`."""
    first_step: int = 0
    evaluate_seconds: float = 0.0
    first_evaluation: int = 0
    seconds: float = 0.0
    """Since this worker took the run: with what is neither training nor evaluating, such as loading and writing."""


class ProgressWriter:
    """Writes one run's progress, at most every half second, and always when the phase changes."""

    def __init__(self, folder: Path, *, num_evaluations: int, evaluations: int = 0) -> None:
        self._path = folder / "progress.json"
        self._written = 0.0
        self._begun = time.monotonic()
        self.now = Progress(num_evaluations=num_evaluations, evaluations=evaluations, first_evaluation=evaluations)

    def update(self, **changes: Any) -> None:
        """Set fields of `Progress`."""
        phase = self.now.phase
        for name, value in changes.items():
            setattr(self.now, name, value)
        if self.now.phase != phase or time.monotonic() - self._written >= INTERVAL_SECONDS:
            self.now.seconds = time.monotonic() - self._begun
            write_json(self._path, asdict(self.now), durable=False)
            self._written = time.monotonic()


def read_progress(folder: Path) -> Progress | None:
    """What the run's worker last wrote; None when no worker has begun, or the file is damaged."""
    try:
        found = Progress(**read_json(folder / "progress.json"))
    except (StoreError, TypeError):  # none, or damaged: it informs and decides nothing
        return None
    numbers = [value for name, value in asdict(found).items() if name != "phase" and value is not None]
    whole = isinstance(found.phase, str) and all(isinstance(number, (int, float)) for number in numbers)
    return found if whole and found.step is not None and found.evaluations is not None else None


@dataclass(frozen=True, kw_only=True)
class ExpectedWork:
    """What a run asks for, and how much of it was done before this watcher began."""

    num_steps: int
    num_evaluations: int
    trained: bool
    evaluations: int


@dataclass(kw_only=True)
class TotalProgress:
    """Progress of all runs together, with the time left."""

    done: float = 0.0
    total: float = 0.0
    """In training steps; an evaluation weighs as many as it takes time, EVALUATION_STEPS until that is known."""
    seconds_left: float | None = None
    """None until enough has been measured."""
    active: dict[str, Progress] = field(default_factory=dict)


def total_progress(
    runs: Iterable[tuple[str, ExpectedWork, Progress | None, bool]], *, num_workers: int
) -> TotalProgress:
    """Sum over runs, given as (name, expected, progress, is a worker on it now?).

    The time left is the remaining steps and evaluations, each at its mean measured time, and for each run that has not
    begun what finished runs needed beside both, over the workers. Nothing is foretold from what has not been measured:
    how long an evaluation takes does not follow from how long a step takes.
    """
    result = TotalProgress()
    sums = _Sums()
    for name, expected, progress, active in runs:
        sums.add(expected, progress)
        if active and progress is not None:
            result.active[name] = progress
    weight: float = EVALUATION_STEPS
    if sums.per_step and sums.per_evaluation:
        weight = sums.per_evaluation / sums.per_step
    result.done = sums.steps + weight * sums.evaluations
    result.total = result.done + sums.steps_left + weight * sums.evaluations_left
    seconds = sums.seconds_left()
    if seconds is not None:
        result.seconds_left = seconds / max(1, min(num_workers, len(result.active) or num_workers))
    return result


@dataclass(kw_only=True)
class _Sums:
    """Over runs: what is done, what is left, and what was timed."""

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
    """Of each finished run: beside training and evaluating."""
    evaluations_of_a_run: int = 0

    def add(self, expected: ExpectedWork, progress: Progress | None) -> None:
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
        return self.step_seconds / self.steps_timed if self.steps_timed >= MIN_STEPS_TIMED else None

    @property
    def per_evaluation(self) -> float | None:
        if not self.evaluations_timed or self.evaluations_timed < self.evaluations_of_a_run:
            return None
        return self.evaluation_seconds / self.evaluations_timed

    def seconds_left(self) -> float | None:
        """Of one worker; None while a kind of work that is left has not been measured, or nothing has been."""
        steps, evaluations = self.per_step, self.per_evaluation
        if (self.steps_left and steps is None) or (self.evaluations_left and evaluations is None):
            return None
        if steps is None and evaluations is None:
            return None
        others = sum(self.other_seconds) / len(self.other_seconds) if self.other_seconds else 0.0
        return (
            self.steps_left * (steps or 0.0)
            + self.evaluations_left * (evaluations or 0.0)
            + self.runs_to_begin * others
        )
