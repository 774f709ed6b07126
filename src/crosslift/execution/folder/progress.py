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
from crosslift.files import read_json, write_json

INTERVAL_SECONDS = 0.5
EVALUATION_STEPS = 20
"""How many training steps one evaluation in one language weighs in the overall bar. A guess; the time left is computed
from measured times instead."""


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


class ProgressWriter:
    """Writes one run's progress, at most every half second, and always when the phase changes."""

    def __init__(self, folder: Path, *, num_evaluations: int, evaluations: int = 0) -> None:
        self._path = folder / "progress.json"
        self._written = 0.0
        self.now = Progress(num_evaluations=num_evaluations, evaluations=evaluations, first_evaluation=evaluations)

    def update(self, **changes: Any) -> None:
        """Set fields of `Progress`."""
        phase = self.now.phase
        for name, value in changes.items():
            setattr(self.now, name, value)
        if self.now.phase != phase or time.monotonic() - self._written >= INTERVAL_SECONDS:
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
    """In training steps; an evaluation weighs EVALUATION_STEPS."""
    seconds_left: float | None = None
    """None until something has been measured."""
    active: dict[str, Progress] = field(default_factory=dict)


def total_progress(
    runs: Iterable[tuple[str, ExpectedWork, Progress | None, bool]], *, num_workers: int
) -> TotalProgress:
    """Sum over runs, given as (name, expected, progress, is a worker on it now?).

    The time left is the remaining steps and evaluations, each at its mean measured time, over the workers. What has not
    been measured yet is guessed through EVALUATION_STEPS.
    """
    result = TotalProgress()
    steps_left = evaluations_left = 0
    step_seconds = evaluation_seconds = 0.0
    steps_timed = evaluations_timed = 0
    for name, expected, progress, active in runs:
        step = expected.num_steps if expected.trained else 0
        evaluations = expected.evaluations
        if progress is not None:
            step = max(step, min(progress.step, expected.num_steps))
            evaluations = max(evaluations, progress.evaluations)
            step_seconds += progress.train_seconds
            steps_timed += max(progress.step - progress.first_step, 0)
            evaluation_seconds += progress.evaluate_seconds
            evaluations_timed += max(progress.evaluations - progress.first_evaluation, 0)
            if active:
                result.active[name] = progress
        result.done += step + EVALUATION_STEPS * evaluations
        result.total += expected.num_steps + EVALUATION_STEPS * expected.num_evaluations
        steps_left += expected.num_steps - step
        evaluations_left += expected.num_evaluations - evaluations
    per_step = step_seconds / steps_timed if steps_timed else None
    per_evaluation = evaluation_seconds / evaluations_timed if evaluations_timed else None
    if per_step is None and per_evaluation is not None:
        per_step = per_evaluation / EVALUATION_STEPS
    if per_evaluation is None and per_step is not None:
        per_evaluation = per_step * EVALUATION_STEPS
    if per_step is not None and per_evaluation is not None:
        workers = max(1, min(num_workers, len(result.active) or num_workers))
        result.seconds_left = (steps_left * per_step + evaluations_left * per_evaluation) / workers
    return result
