"""Recommendations in simulated worlds: the stated probability of being within two points of the best, and the truth."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crosslift.recommendation.objective import Budget, Objective
from crosslift.recommendation.recommend import Recommendation, recommend
from crosslift.recommendation.search import EQUIVALENCE_MARGIN
from crosslift.streams import stream
from crosslift.transfer.model.gaussian_process import fit_transfer_model
from crosslift.transfer.model.posterior import TransferModel
from predictions.data import WORLD_LANGUAGES, DataSet


class Told(NamedTuple):
    """A recommendation in a simulated world."""

    stated: float
    """Stated probability that no candidate is better by more than EQUIVALENCE_MARGIN."""
    hit: bool
    """Whether none is."""


def left_out(data: DataSet) -> np.ndarray:
    """Rows of a quarter of the mixtures, shape (n,), which the model does not learn from."""
    labels = stream(0, "truth", data.name).permutation(np.unique(data.observed.mixtures))
    return np.isin(data.observed.mixtures, labels[: max(len(labels) // 4, 1)])


def recommended(data: DataSet, fitted: TransferModel | None = None) -> Told | None:
    """Recommend one of a world's mixtures, or equal amounts of every language; None if the data cannot tell.

    The truth is taken over the same candidates as the stated probability: all mixtures of the world within the budget,
    and equal amounts, which are always among the candidates.

    Args:
        data: a simulated world.
        fitted: transfer model of the mixtures that are not left out; by default it is fitted.
    """
    assert data.truth_of is not None
    fitted = fitted or fit_transfer_model(data.observed.take(~left_out(data)))
    pool = [data.observed.amounts[name] for name in sorted(data.observed.amounts)]
    budget = Budget(amount=max(sum(one.values()) for one in pool), languages=WORLD_LANGUAGES)
    found = recommend(fitted, "model0", Objective(languages=WORLD_LANGUAGES), budget, candidates=pool)
    if not isinstance(found, Recommendation):
        return None
    equal = budget.allocate(dict.fromkeys(WORLD_LANGUAGES, 1.0))
    best = max(float(data.truth_of(one).mean()) for one in (*pool, equal) if budget.allows(one))
    true = float(data.truth_of(found.amounts).mean())
    return Told(stated=found.probability_best, hit=true >= best - EQUIVALENCE_MARGIN)
