"""Do intervals hold the planted truth as often as they say? One panel of many simulated studies at once."""

import numpy as np
import pytest
from scipy import stats

from crosslift.streams import stream
from crosslift.transfer.estimates import resampling as resample

NUM_ITEMS, NUM_STUDIES, NUM_RESAMPLES = 250, 600, 1000


def paired_studies(discordance, gain, generator):
    """(studies, items) of treatment and control. Items are hard or easy for both sides; the pairs differ in a share
    `discordance` of the items, in favour of the treatment by `gain` in all."""
    kind = generator.random((NUM_STUDIES, NUM_ITEMS))
    won, lost = kind < (discordance + gain) / 2, kind > 1 - (discordance - gain) / 2
    same = generator.random((NUM_STUDIES, NUM_ITEMS)) < 0.4
    return np.where(won, 1.0, np.where(lost, 0.0, same)), np.where(won, 0.0, np.where(lost, 1.0, same))


def covered(treatment, control, truth, level=0.95):
    """Share of studies whose interval holds the truth."""
    generator = stream(0, "test", "weights")
    weights = resample.bootstrap_weights(treatment.shape[1], NUM_RESAMPLES, generator)
    difference = (treatment - control)[:, None, :]
    draws = resample.resampled_means(difference, np.ones((1, treatment.shape[1])), weights)[:, 0]
    intervals = [
        resample.expanded_percentile_interval(row, [], num_clusters=treatment.shape[1], level=level) for row in draws
    ]
    return np.mean([found.low <= truth <= found.high for found in intervals])


@pytest.mark.parametrize("discordance", [0.14, 0.21, 0.28])
@pytest.mark.parametrize("gain", [0.0, 0.06])
def test_interval_of_a_gain_covers_at_its_level(discordance, gain):
    treatment, control = paired_studies(discordance, gain, stream(0, "test", str(discordance), str(gain)))
    assert 0.93 <= covered(treatment, control, gain) <= 0.97


def test_interval_covers_at_its_level_with_few_clusters():
    treatment, control = paired_studies(0.28, 0.06, stream(0, "test", "few"))
    assert 0.92 <= covered(treatment[:, :30], control[:, :30], 0.06) <= 0.98


def test_interval_that_ignores_dialogues_is_too_short_and_the_clustered_one_is_not():
    generator = stream(0, "test", "dialogues")
    num_dialogues, per_dialogue = 50, 5
    effect = np.repeat(generator.normal(0, 0.3, (NUM_STUDIES, num_dialogues)), per_dialogue, axis=1)
    difference = effect + generator.normal(0, 0.3, effect.shape)
    weights = resample.bootstrap_weights(num_dialogues, NUM_RESAMPLES, stream(0, "test", "weights"))
    sums = difference.reshape(NUM_STUDIES, 1, num_dialogues, per_dialogue).sum(axis=3)
    draws = resample.resampled_means(sums, np.full((1, num_dialogues), float(per_dialogue)), weights)[:, 0]
    clustered = [
        resample.expanded_percentile_interval(row, [], num_clusters=num_dialogues, level=0.95) for row in draws
    ]
    assert 0.93 <= np.mean([found.low <= 0 <= found.high for found in clustered]) <= 0.97

    half = 1.96 * difference.std(axis=1, ddof=1) / np.sqrt(difference.shape[1])
    assert np.mean(np.abs(difference.mean(axis=1)) <= half) < 0.80


def test_interval_that_ignores_the_pairing_is_too_long():
    treatment, control = paired_studies(0.14, 0.0, stream(0, "test", "unpaired"))
    half = 1.96 * np.sqrt((treatment.var(axis=1) + control.var(axis=1)) / NUM_ITEMS)
    unpaired = np.mean(np.abs(treatment.mean(axis=1) - control.mean(axis=1)) <= half)
    assert unpaired > 0.99 > covered(treatment, control, 0.0)


@pytest.mark.parametrize("noise", [0.0, 0.02])
@pytest.mark.parametrize("num_seeds", [2, 3])
def test_interval_with_seeds_covers_with_and_without_run_to_run_noise(num_seeds, noise):
    generator = stream(0, "test", "seeds", num_seeds, str(noise))
    num_studies, num_conditions, num_resamples = 300, 4, 500
    difficulty = generator.beta(0.6, 0.6, (num_studies, 1, 1, NUM_ITEMS))
    shift = generator.normal(0, noise, (num_studies, num_conditions, num_seeds, 1))
    answers = generator.random((num_studies, num_conditions, num_seeds, NUM_ITEMS))
    correct = (answers < np.clip(difficulty + shift, 0, 1)).astype(float)
    weights = resample.bootstrap_weights(NUM_ITEMS, num_resamples, stream(0, "test", "weights"))
    normals = [stream(0, "test", "normals", side).standard_normal(num_resamples) for side in (0, 1)]
    holds = 0
    for study in correct:
        runs = resample.resampled_means(study, np.ones((num_seeds, NUM_ITEMS)), weights)
        found = resample.run_noise(list(runs))
        observed, component = (
            np.sqrt(found.observed_variance / num_seeds),
            np.sqrt(found.component_variance / num_seeds),
        )
        noise = [
            resample.RunNoiseDraws(observed_sd=observed, component_sd=component, standard_normals=side)
            for side in normals
        ]
        draws = runs[1].mean(axis=0) - runs[0].mean(axis=0)
        made = resample.expanded_percentile_interval(draws, noise, df_runs=found.df, num_clusters=NUM_ITEMS, level=0.95)
        holds += made.low <= 0 <= made.high
    assert 0.94 <= holds / num_studies <= 0.995


def test_run_noise_is_what_two_runs_differ_by_when_items_are_many():
    generator = stream(0, "test", "noise")
    shifts = generator.normal(0, 0.05, (200, 2, 1))
    found = resample.run_noise(list(np.broadcast_to(shifts, (200, 2, 20))))
    assert found.df == 200 and found.component_variance == found.observed_variance == pytest.approx(0.05**2, rel=0.25)


def test_run_noise_is_nothing_when_runs_differ_by_chance_on_items():
    generator = stream(0, "test", "chance")
    answers = (generator.random((30, 3, 400)) < 0.5).astype(float)
    weights = resample.bootstrap_weights(400, 64, generator)
    found = resample.run_noise(list(resample.resampled_means(answers, np.ones((3, 400)), weights)))
    assert found.component_variance < 0.35 * found.observed_variance


def test_sign_flips_reject_a_true_null_at_their_level():
    treatment, control = paired_studies(0.2, 0.0, stream(0, "test", "null"))
    flips = resample.random_signs(NUM_ITEMS, 999, stream(0, "test", "signs"))
    p = resample.sign_flip_p_value((treatment - control) / NUM_ITEMS, flips)
    assert 0.025 <= np.mean(p <= 0.05) <= 0.07


def test_sign_flips_agree_with_the_exact_test_of_discordant_pairs():
    treatment, control = paired_studies(0.2, 0.04, stream(0, "test", "exact"))
    flips = resample.random_signs(NUM_ITEMS, 4999, stream(0, "test", "signs"))
    p = resample.sign_flip_p_value((treatment - control)[:40] / NUM_ITEMS, flips)
    won, lost = (treatment > control)[:40].sum(axis=1), (treatment < control)[:40].sum(axis=1)
    exact = [stats.binomtest(int(w), int(w + x)).pvalue for w, x in zip(won, lost, strict=True)]
    assert p == pytest.approx(np.array(exact), abs=0.03)


def test_resampled_columns_do_not_depend_on_the_block_size():
    generator = stream(0, "test", "blocks")
    values, weights = generator.integers(0, 2, (3, 2, 40)).astype(float), resample.bootstrap_weights(40, 100, generator)
    blocks = [resample.resampled_means(values, np.ones((2, 40)), weights, block=size) for size in (7, 100)]
    assert np.array_equal(*blocks)
