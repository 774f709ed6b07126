"""When an exploration ends: how sure the decision must be, and what may be spent."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from crosslift.errors import StudyError

_UNTIL = re.compile(r"within\s+(?P<points>\d+(?:\.\d+)?)\s+points?\s+with\s+probability\s+(?P<probability>\d*\.?\d+)")
EXAMPLE = "within 1 point with probability .9"


@dataclass(frozen=True, kw_only=True)
class Certainty:
    """How sure a decision must be: within a distance of the best mixture, with a probability."""

    points: float = 1.0
    probability: float = 0.9

    @property
    def margin(self) -> float:
        """The distance in the unit of the scores."""
        return self.points / 100

    def __str__(self) -> str:
        unit = "point" if self.points == 1 else "points"
        return f"within {self.points:g} {unit} with probability {self.probability:g}"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What an exploration may spend, in all calls together."""

    runs: int | None = None
    """Runs that it may execute."""
    gpu_hours: float | None = None
    """Hours that workers may spend on these runs, one GPU (or core) each."""

    def __str__(self) -> str:
        parts = [] if self.runs is None else [f"{self.runs} runs"]
        parts += [] if self.gpu_hours is None else [f"{self.gpu_hours:g} GPU hours"]
        return " and ".join(parts)


def parse_certainty(text: str) -> Certainty:
    """Read a certainty from words, as in `within 1 point with probability .9`.

    Raises:
        StudyError: the words have another form, or a number is out of range.
    """
    found = _UNTIL.fullmatch(text.strip().lower())
    if found is None:
        raise StudyError(f'until "{text}": must be of the form "{EXAMPLE}".')
    certainty = Certainty(points=float(found["points"]), probability=float(found["probability"]))
    problems = goal_problems(certainty, Limits(runs=1))
    if problems:
        raise StudyError(problems)
    return certainty


def goal_problems(certainty: Certainty, limits: Limits, *, prefix: str = "") -> list[str]:
    """Check a certainty and limits.

    Args:
        certainty: how sure the decision must be.
        limits: what may be spent.
        prefix: of the names of options in messages, such as "--".

    Returns:
        One message per problem.
    """
    problems = []
    if not 0 < certainty.points <= 100:
        problems.append(f"{prefix}until: {certainty.points:g} points must be above 0 and at most 100.")
    if not 0 < certainty.probability < 1:
        problems.append(f"{prefix}until: the probability {certainty.probability:g} must be between 0 and 1.")
    if limits.runs is None and limits.gpu_hours is None:
        name = f"{prefix}gpu-hours" if prefix else "gpu_hours"
        problems.append(f"Nothing limits the exploration. Give {prefix}runs or {name}.")
    if limits.runs is not None and limits.runs < 1:
        problems.append(f"{prefix}runs {limits.runs}: must be at least 1.")
    if limits.gpu_hours is not None and not (math.isfinite(limits.gpu_hours) and limits.gpu_hours > 0):
        problems.append(f"{prefix}gpu-hours {limits.gpu_hours:g}: must be a finite number above 0.")
    return problems
