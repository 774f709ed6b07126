"""Selection of the next runs: a batch for its joint outcomes, beside runs in progress, per hour."""

from __future__ import annotations

import numpy as np
import pytest

from crosslift.recommendation.acquisition import knowledge_gradient_batch
from crosslift.recommendation.objective import Objective
from crosslift.transfer.model.gaussian_process import fit_transfer_model
from crosslift.transfer.model.observations import Observations
from crosslift.transfer.model.posterior import TransferModel

KNOWN = {"a": {"en": 400.0}, "b": {"en": 200.0, "sw": 200.0}, "c": {"es": 400.0}}
CANDIDATES = [
    {"sw": 400.0},
    {"sw": 399.0, "en": 1.0},
    {"en": 200.0, "es": 200.0},
    {"es": 200.0, "sw": 200.0},
    {"en": 300.0, "es": 100.0},
]
OBJECTIVE = Objective(languages=("en", "es", "sw"))


@pytest.fixture(scope="module")
def fitted() -> TransferModel:
    names = list(KNOWN)
    scores = [[0.6, 0.3, 0.3], [0.55, 0.3, 0.6], [0.4, 0.5, 0.25]]
    return fit_transfer_model(
        Observations(
            values=np.array(scores).ravel(),
            runs=np.repeat(names, 3),
            models=np.repeat("one", 9),
            languages=np.tile(["en", "es", "sw"], 3),
            mixtures=np.repeat(names, 3),
            amounts=KNOWN,
            num_effective=np.full(9, 100.0),
        )
    )


def chosen(fitted: TransferModel, num: int, **options: object) -> list[int]:
    found = knowledge_gradient_batch(fitted, "one", OBJECTIVE, CANDIDATES, batch_size=num, **options)  # type: ignore[arg-type]
    assert all(gain > -1e-3 for _, gain in found)
    return [place for place, _ in found]


def test_the_runs_of_a_batch_differ(fitted: TransferModel):
    first, second = chosen(fitted, 2)
    assert {first, second} != {0, 1}  # almost the same mixture, whose outcome the other one tells
    assert sorted(chosen(fitted, 9)) == [0, 1, 2, 3, 4]


def test_a_run_in_progress_is_not_repeated_by_its_like(fitted: TransferModel):
    (best,) = chosen(fitted, 1)
    (beside,) = chosen(fitted, 1, pending=[CANDIDATES[best]])
    assert beside != best and {best, beside} != {0, 1}


def test_runs_are_selected_by_what_they_add_per_hour(fitted: TransferModel):
    (best,) = chosen(fitted, 1)
    hours = [1000.0 if place == best else 1.0 for place in range(len(CANDIDATES))]
    assert chosen(fitted, 1, hours=hours) != [best]
    assert chosen(fitted, 1, hours=[2.0] * len(CANDIDATES)) == [best]


def test_without_any_run_there_is_a_first_one(fitted: TransferModel):
    nothing = fit_transfer_model(fitted.observed.take(np.zeros(0, dtype=int)))
    found = knowledge_gradient_batch(nothing, "one", OBJECTIVE, CANDIDATES, batch_size=3)
    assert len({place for place, _ in found}) == 3
