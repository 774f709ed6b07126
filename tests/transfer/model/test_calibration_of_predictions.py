"""Predictions in simulated worlds with interactions, floors and ceilings (the whole comparison: benchmarks)."""

from __future__ import annotations

import sys

import numpy as np
import places
import pytest
from scipy.special import ndtr, ndtri

sys.path.append(str(places.REPOSITORY / "benchmarks"))  # after the standard library, which has a `statistics` too

from calibration_of_predictions import clustered_error, scored
from predictions.data import splits, world
from predictions.models import EDGES, PREDICTORS, latent_of

from crosslift.streams import stream
from crosslift.transfer.model.gaussian_process import fit_transfer_model

WORLDS = range(8)


@pytest.fixture(scope="module")
def pits() -> dict[str, np.ndarray]:
    """Probability integral transforms: measured scores of left-out mixtures, and the truth of observed ones."""
    left_out, truth = [], []
    for number in WORLDS:
        data = world(number)
        known = data.observed
        (split, *_) = [one for one in splits(data, most=1) if one.kind == "mixtures left out"]
        wanted = known.take(split.predict)
        bins, expected = PREDICTORS["transfer model"](known.take(split.learn), wanted, "mixture")
        assert ((expected > 0) & (expected < 1)).all()
        left_out.append(scored(bins, wanted.shares, stream(0, "pit", number))["pit"])
        mean, variance = latent_of(fit_transfer_model(known), known)
        truth.append(ndtr((ndtri(data.truth.clip(1e-6, 1 - 1e-6)) - mean) / np.sqrt(variance)))
    return {"left out": np.concatenate(left_out), "truth": np.concatenate(truth)}


@pytest.mark.parametrize("kind", ["left out", "truth"])
def test_intervals_hold_what_they_say(pits: dict[str, np.ndarray], kind: str):
    inside = ((pits[kind] >= 0.025) & (pits[kind] <= 0.975)).mean()
    assert 0.88 <= inside <= 0.99


def test_the_score_of_a_prediction_prefers_the_truth():
    measured = np.random.default_rng(0).normal(0.5, 0.05, 4000)

    def bins(mean: float, deviation: float) -> np.ndarray:
        return np.tile(np.diff(ndtr((EDGES - mean) / deviation)), (len(measured), 1))

    scores = {
        at: scored(bins(*at), measured, stream(0, "pit"))["log_score"].mean()
        for at in ((0.5, 0.05), (0.5, 0.02), (0.5, 0.2), (0.6, 0.05))
    }
    assert max(scores, key=lambda at: scores[at]) == (0.5, 0.05)
    pit = scored(bins(0.5, 0.05), measured, stream(0, "pit"))["pit"]
    assert ((pit >= 0.025) & (pit <= 0.975)).mean() == pytest.approx(0.95, abs=0.012)


def test_the_error_of_a_coverage_counts_groups_and_not_cells():
    values = np.random.default_rng(0).normal(size=50)
    alone = clustered_error(values, np.arange(50))
    assert alone == pytest.approx(values.std(ddof=1) / np.sqrt(50))
    assert clustered_error(np.repeat(values, 8), np.repeat(np.arange(50), 8)) == pytest.approx(alone)
