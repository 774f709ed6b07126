"""Which candidates may be chosen: those that keep the minimum scores, and whose intervals say something."""

from __future__ import annotations

import numpy as np

from crosslift.languages.language import language
from crosslift.recommendation.objective import CONFIDENCE, AnyObjective, cell_of
from crosslift.transfer.model.observations import Observations

WIDEST_MARGIN = 0.1
"""A 95 % interval of plus or minus this share of the metric's range, or less, always says something."""


def margins_of(values: np.ndarray) -> np.ndarray:
    """Half of the 95 % interval of each candidate: that of its objective, or, if smaller, that of its difference from
    the mean of the candidates.

    Args:
        values: draws of the objective, shape (draws, candidates).
    """
    lows, highs = np.quantile(values, [0.025, 0.975], axis=0)
    relative = np.quantile(values - values.mean(axis=1, keepdims=True), [0.025, 0.975], axis=0)
    return np.asarray(np.minimum(highs - lows, relative[1] - relative[0]) / 2)


def widest_margin(observed: Observations, model: str, objective: AnyObjective) -> float:
    """Largest margin with which a candidate is recommended, in the unit of the scores."""
    return max(WIDEST_MARGIN * (observed.high - observed.low), _observed_range(observed, model, objective))


def keeps_floors(objective: AnyObjective, draws: np.ndarray) -> np.ndarray:
    """Whether each candidate keeps all minimum scores together with probability CONFIDENCE, shape (candidates,).

    Args:
        objective: with the minimum scores.
        draws: joint draws of the scores, shape (draws, candidates, languages).
    """
    return np.asarray((draws >= objective.floors).all(axis=2).mean(axis=0) >= CONFIDENCE)


def too_high(objective: AnyObjective, draws: np.ndarray) -> str:
    """That no candidate keeps the minimum scores, and which ones could be kept."""
    floors = {
        label: floor for label, floor in zip(objective.languages, objective.floors, strict=True) if floor > -np.inf
    }
    asked = " and ".join(f"{floor_name(label)} above {floor:g}" for label, floor in floors.items())
    reached = np.quantile(draws, 1 - CONFIDENCE, axis=0).max(axis=0)
    possible = dict(zip(objective.languages, reached.tolist(), strict=True))
    told = ", ".join(f"{floor_name(label)} {possible[label]:.2f}" for label in floors)
    return (
        f"no candidate keeps {asked} with probability {CONFIDENCE:g}. Lower the bound: what can be kept"
        f"{', each by itself,' if len(floors) > 1 else ''} is {told}. Or raise the budget."
    )


def floor_name(label: str) -> str:
    """Name of an evaluation language in a message: "English", or "English (math)" with several evaluations."""
    evaluation, tag = cell_of(label)
    return language(tag).name + (f" ({evaluation})" if evaluation else "")


def _observed_range(observed: Observations, model: str, objective: AnyObjective) -> float:
    """Range of the objective over the observed runs of the model, or of any model if it has none."""
    rows = np.flatnonzero(observed.models == model)
    rows = rows if len(rows) else np.arange(len(observed.values))
    found = []
    for run in np.unique(observed.runs[rows]):
        here = rows[observed.runs[rows] == run]
        scores = dict(zip(observed.languages[here].tolist(), observed.values[here].tolist(), strict=True))
        if all(tag in scores for tag in objective.languages):
            found.append(float(objective.value(np.array([scores[tag] for tag in objective.languages]))))
    return max(found) - min(found) if found else 0.0
