"""Optimal designs maximise their criterion, and stay the same for ever."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest

from crosslift.streams import stream
from crosslift.transfer.design.optimal import Candidates, information, mean_variance, optimal_design
from crosslift.transfer.design.prior import candidates, exchangeable_candidates, noise_of_runs
from crosslift.transfer.design.simplex import simplex_weights
from crosslift.transfer.model.gaussian_process import fit_transfer_model
from crosslift.transfer.model.observations import Observations


def random_candidates(seed: int, num: int = 9, num_languages: int = 2) -> Candidates:
    factors = stream(seed, "candidates").standard_normal((num * num_languages, 5))
    return Candidates(covariance=factors @ factors.T + 0.1 * np.eye(len(factors)), noise=noise_of_runs(num_languages))


@pytest.mark.parametrize("seed", range(5))
def test_a_design_is_within_a_hundredth_of_the_best_of_all_designs(seed: int) -> None:
    pool = random_candidates(seed)
    every = list(combinations(range(pool.num), 3))
    found = optimal_design(pool, 3)
    assert information(pool, found) >= 0.99 * max(information(pool, list(one)) for one in every)
    found = optimal_design(pool, 3, criterion="v_optimal")
    assert mean_variance(pool, found) <= 1.05 * min(mean_variance(pool, list(one)) for one in every)


def test_a_design_for_what_is_to_be_predicted_leaves_the_least_variance_of_it() -> None:
    whole = random_candidates(6)
    kept, wanted = whole.rows([0, 1, 2, 3, 4, 5]), whole.rows([6, 7, 8])
    pool = Candidates(
        covariance=whole.covariance[np.ix_(kept, kept)],
        noise=whole.noise,
        towards=whole.covariance[np.ix_(kept, wanted)],
    )

    def variance(chosen: Sequence[int]) -> float:
        rows = whole.rows(chosen)
        gain = whole.covariance[wanted][:, rows] @ np.linalg.inv(whole.measured(chosen))
        return float(np.trace(whole.covariance[np.ix_(wanted, wanted)] - gain @ whole.covariance[rows][:, wanted]))

    found = variance(optimal_design(pool, 2, criterion="v_optimal"))
    assert found <= 1.05 * min(variance(one) for one in combinations(range(6), 2))


def test_the_mean_variance_is_that_of_the_posterior_covariance() -> None:
    pool = random_candidates(1)
    rows = pool.rows([2, 5])
    gain = pool.covariance[:, rows] @ np.linalg.inv(pool.measured([2, 5])) @ pool.covariance[rows]
    assert mean_variance(pool, [2, 5]) == pytest.approx(np.trace(pool.covariance - gain) / len(pool.covariance))


def test_runs_that_are_made_anyway_are_not_chosen_again() -> None:
    pool = random_candidates(2)
    first = optimal_design(pool, 1)
    assert not set(first) & set(optimal_design(pool, 4, included=first))
    assert sorted(optimal_design(pool, 99, included=[3])) == [0, 1, 2, 4, 5, 6, 7, 8]


def test_three_languages_give_the_simplex_lattice() -> None:
    """For six mixtures of three languages the classical design (H. Scheffe 1958) is corners and midpoints of edges."""
    lattice = {(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1)}
    assert set(simplex_weights(3, 6, "d_optimal", 0)) == lattice


def test_a_design_never_changes() -> None:
    """A golden design: a change here changes the mixtures of studies under way."""
    assert simplex_weights(4, 7, "d_optimal", 0) == GOLDEN_OPTIMAL
    assert simplex_weights(3, 2, "uniform", 5) == GOLDEN_UNIFORM


def test_more_uniform_mixtures_keep_the_earlier_ones_and_cover_the_simplex() -> None:
    many = simplex_weights(3, 400, "uniform", 1)
    assert many[:10] == simplex_weights(3, 10, "uniform", 1)
    assert {sum(weights) for weights in many} == {1000}
    shares = np.array(many) / 1000
    assert np.abs(shares.mean(axis=0) - 1 / 3).max() < 0.03
    assert np.abs(shares.var(axis=0) - 1 / 18).max() < 0.012  # of a uniform distribution on the simplex


def test_a_design_tells_more_than_random_mixtures() -> None:
    amounts = 10 * np.array(simplex_weights(4, 60, "uniform", 3), dtype=float) / 10
    pool = exchangeable_candidates(amounts)
    chosen = information(pool, optimal_design(pool, 8))
    generator = stream(0, "random")
    assert all(information(pool, generator.permutation(60)[:8].tolist()) < chosen for _ in range(50))


def test_the_prior_is_that_of_the_transfer_model() -> None:
    """Without observations, and up to the centring of the features, which the model can only do with runs."""
    nothing, names = np.zeros(0), np.zeros(0, dtype=str)
    model = fit_transfer_model(
        Observations(values=nothing, runs=names, models=names, languages=names, mixtures=names, amounts={})
    )
    runs = [{"en": 500.0}, {"en": 100.0, "sw": 400.0}, {"de": 300.0}]
    pool = candidates([("one", amounts) for amounts in runs], ["en", "sw"])
    uncentred = model.predict_latent(runs, "one", ["en", "sw"]).covariance
    contrast = np.kron([1, -1, 0], [1, 0])  # of two mixtures in one language: free of means of features
    assert contrast @ pool.covariance @ contrast == pytest.approx(contrast @ uncentred @ contrast, rel=1e-6)


GOLDEN_OPTIMAL = ((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (1, 1, 0, 0), (0, 0, 1, 1), (1, 0, 1, 0))
GOLDEN_UNIFORM = ((360, 206, 434), (135, 283, 582))
