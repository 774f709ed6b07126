"""Plateaus, replicates, agreement, shares of wins, power: each against a case whose answer is known."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from crosslift.transfer.design.power import Design, detectable_after_doubling, detectable_difference, standard_error
from crosslift.transfer.design.simulation import SimulationTruth, discordance, simulate
from crosslift.transfer.estimates.contrast_bootstrap import bootstrap_contrasts
from crosslift.transfer.estimates.wilson import wilson_interval_of_share
from crosslift.transfer.grid.plateau import bias_corrected, gain_over_first, isotonic_fit, maximum, plateau
from crosslift.transfer.grid.win_shares import win_share
from crosslift.transfer.variance.agreement import consistency, mcnemar
from crosslift.transfer.variance.replicate_noise import (
    NoiseVariance,
    noise_from_curves,
    noise_from_replicates,
    pool_noise,
    replicate_intervals,
)

DOSES = np.array([0, 100, 200, 400, 800, 1600.0])


def noise(deviation: float, df: float = 20) -> NoiseVariance:
    return NoiseVariance(variance=deviation**2, df=df, source="test")


def test_a_plateau_is_found_where_it_is_and_not_told_in_noise():
    curve = np.array([0.2, 0.3, 0.4, 0.5, 0.502, 0.501])
    clear = plateau(curve, DOSES, noise(0.003), margin=0.02)
    assert (clear.dose, clear.low, clear.high, clear.identified) == (400, 400, 400, True)
    assert not plateau(curve, DOSES, noise(0.3), margin=0.02).identified


def test_the_best_of_noisy_equals_is_too_large_and_the_bias_is_taken_off():
    flat = np.random.default_rng(0).normal(0, 0.05, 400).reshape(50, 8)
    corrected = [bias_corrected(gain_over_first, [curve], [noise(0.05)]).value for curve in flat]
    assert np.mean([gain_over_first(curve) for curve in flat]) > 0.06
    assert abs(np.mean(corrected)) < 0.04


def test_intervals_of_a_rise_hold_the_truth():
    truth = np.array([0.3, 0.36, 0.4, 0.43, 0.45, 0.46])
    generator = np.random.default_rng(1)
    held = 0
    for _ in range(150):
        found = bias_corrected(gain_over_first, [truth + generator.normal(0, 0.02, 6)], [noise(0.02)])
        held += found.low <= 0.16 <= found.high
    assert held / 150 > 0.9
    assert maximum(truth) == 0.46 and (np.diff(isotonic_fit(np.array([1.0, 3, 2, 4]))) >= 0).all()


def test_noise_is_measured_by_replicates_and_by_roughness():
    generator = np.random.default_rng(2)
    groups = [generator.normal(level, 0.03, 3) for level in range(200)]
    found = noise_from_replicates(groups)
    assert found is not None and found.standard_deviation == pytest.approx(0.03, rel=0.1) and found.df == 400
    curves = [np.linspace(0, 1, 12) + generator.normal(0, 0.03, 12) for _ in range(100)]
    rough = noise_from_curves(curves)
    assert rough is not None and rough.standard_deviation == pytest.approx(0.03, rel=0.1)
    both = pool_noise(found, None, rough)
    assert both is not None and both.df == found.df + rough.df
    assert (
        noise_from_replicates([np.array([1.0])]) is None
        and noise_from_curves([np.ones(3)]) is None
        and pool_noise() is None
    )


def test_t_intervals_over_replicates_are_the_textbooks():
    cells = pl.DataFrame({"model": ["m"] * 3 + ["n"], "value": [1.0, 2.0, 4.0, 5.0]})
    found = replicate_intervals(cells, ["model"]).sort("model").to_dicts()
    assert found[0]["sd"] == pytest.approx(1.5275252) and found[0]["high"] == pytest.approx(
        7 / 3 + 4.3026527 * 1.5275252 / 3**0.5
    )
    assert found[1]["low"] is None and found[1]["num_runs"] == 1


def test_consistency_and_mcnemar():
    right = np.array([[1, 1, 1], [1, 1, 0], [0, 0, 0], [0, 1, 0.0]])
    found = consistency(right)
    assert (found.share_all_correct, found.share_all_wrong) == (0.25, 0.25)
    assert found.agreement == pytest.approx((3 + 1 + 3 + 1) / 12)
    assert found.kappa == pytest.approx((8 / 12 - 0.5) / 0.5)
    assert mcnemar(np.array([1, 1, 1, 1, 1, 0.0]), np.array([0, 0, 0, 0, 0, 1.0])) == (5, 1, pytest.approx(0.21875))
    assert mcnemar(np.ones(3), np.ones(3)) == (0, 0, 1.0)


def test_shared_baselines_widen_an_interval_and_independent_cells_do_not():
    cells = np.arange(160)
    shared = win_share(119, cells // 16, cells // 4, cells % 4, cell_sd=2.5, run_sd=1.5, effect_sd=2.0)
    alone = win_share(119, cells, cells, cells, cell_sd=2.5, run_sd=0.0, effect_sd=2.0)
    assert shared.independent_interval == pytest.approx((0.6709, 0.8050), abs=1e-3)
    assert shared.num_effective_cells < 80 and shared.dependent_interval[0] < shared.independent_interval[0] - 0.03
    assert alone.num_effective_cells > 140
    assert wilson_interval_of_share(0.75, 40) == pytest.approx((0.598, 0.858), abs=1e-3)


def test_power_grows_with_what_is_bought_and_agrees_with_simulation():
    design = Design(num_items=250, num_languages=11, num_seeds=3)
    bought = detectable_after_doubling(design)
    assert all(value < bought["as planned"] for label, value in bought.items() if label != "as planned")
    assert detectable_difference(Design(num_items=250), run_noise=0.0) == pytest.approx(
        2.8016 * (0.2 / 250) ** 0.5, rel=1e-3
    )
    truth = SimulationTruth(run=0.0)
    languages = np.linspace(-0.5, 0.5, 11)
    gains, apart = [], []
    for number in range(300):
        generator = np.random.default_rng(number)
        made = simulate(truth, np.zeros(2), num_seeds=1, languages=languages, num_items=250, generator=generator)
        gains.append(made.correct[1].mean() - made.correct[0].mean())
        apart.append(discordance(made.correct))
    difference = made.correct[1, 0] - made.correct[0, 0]
    correlations = np.corrcoef(difference)[np.triu_indices(11, 1)]
    predicted = standard_error(
        Design(num_items=250, num_languages=11),
        discordance=float(np.mean(apart)),
        language_correlation=float(correlations.mean()),
        run_noise=0.0,
    )
    assert np.std(gains) == pytest.approx(predicted, rel=0.2)


def test_planted_truth_is_the_mean_over_studies():
    truth, languages = SimulationTruth(), np.array([-0.3, 0.0, 0.4])
    means = [
        simulate(
            truth, np.array([0.1]), num_seeds=4, languages=languages, num_items=100, generator=generator
        ).correct.mean()
        for generator in map(np.random.default_rng, range(150))
    ]
    assert np.mean(means) == pytest.approx(truth.accuracy(0.1, languages), abs=0.006)


def test_contrasts_in_bulk_are_those_one_by_one():
    generator = np.random.default_rng(4)
    right = (generator.random((6, 3, 40)) < 0.6).astype(float)
    draws = generator.integers(0, 40, (500, 40))
    weights = np.stack([np.bincount(row, minlength=40) for row in draws], axis=1).astype(float)
    groups = [np.array([0]), np.array([0, 2])]
    found = bootstrap_contrasts(right, np.array([1, 3]), np.array([0, 2]), groups, weights=weights)
    for row, (treatment, control) in enumerate(((1, 0), (3, 2))):
        for column, group in enumerate(groups):
            difference = (right[treatment] - right[control])[group].mean(axis=0)
            means = difference[draws].mean(axis=1)
            assert found.value[row, column] == pytest.approx(difference.mean())
            assert found.low[row, column] == pytest.approx(np.quantile(means, 0.025))
            assert found.high[row, column] == pytest.approx(np.quantile(means, 0.975))
            assert found.standard_error[row, column] == pytest.approx(means.std(ddof=1))
