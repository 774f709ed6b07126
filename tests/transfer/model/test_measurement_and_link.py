"""Measurement noise is what the items give, and scores stay scores."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosslift.errors import TransferError
from crosslift.transfer.model.link import expected_share, expected_slope, to_latent, to_share, working_response
from crosslift.transfer.model.measurement import effective_items
from crosslift.transfer.model.observations import Observations, observations_of


def scores(difficulty: float, *, runs: int = 6, items: int = 400, halves: bool = False) -> pl.DataFrame:
    """Right or wrong answers of equally good runs to items of normal difficulty."""
    generator = np.random.default_rng(0)
    hard = difficulty * generator.standard_normal(items)
    values = (generator.standard_normal((runs, items)) + hard > 0).astype(float)
    return pl.DataFrame({
        "run": np.repeat([f"r{run}" for run in range(runs)], items), "model": "m", "language": "en",
        "cluster": np.tile([f"i{item}" for item in range(items)], runs),
        "value": (0.25 + values.ravel() / 2) if halves else values.ravel(),
    })  # fmt: skip


def test_without_common_difficulty_items_count_once_and_with_it_more():
    plain = effective_items(scores(0.0))["num_effective"].mean()
    assert plain == pytest.approx(400, rel=0.05)
    # Two latent values of unit noise and unit difficulty correlate by 1/2, their signs by 2/pi asin(1/2) = 1/3.
    assert effective_items(scores(1.0))["num_effective"].mean() == pytest.approx(400 / (1 - 1 / 3), rel=0.1)


def test_values_that_vary_less_than_right_and_wrong_count_more():
    assert effective_items(scores(0.0, halves=True))["num_effective"].mean() == pytest.approx(1600, rel=0.05)


def test_a_single_run_and_all_zeros_have_their_number_of_items():
    single = scores(1.0, runs=1)
    assert effective_items(single)["num_effective"].to_list() == pytest.approx([400])
    zeros = single.with_columns(value=pl.lit(0.0))
    assert effective_items(zeros)["num_effective"].to_list() == [400]


@given(st.floats(-30, 30), st.floats(0, 100))
def test_expectations_of_scores_are_shares(mean: float, variance: float):
    found = expected_share(np.array(mean), np.array(variance))
    assert 0 <= found <= 1
    assert expected_slope(np.array(mean), np.array(variance)) >= 0


def test_the_expected_share_is_the_mean_of_shares():
    draws = 0.3 + 1.2 * np.random.default_rng(0).standard_normal(200_000)
    assert to_share(draws).mean() == pytest.approx(float(expected_share(np.array(0.3), np.array(1.44))), abs=0.003)


def test_measured_ends_of_the_range_have_finite_responses():
    shares, items = np.array([0.0, 0.5, 1.0]), np.full(3, 100.0)
    latent = to_latent(shares, items)
    response, variance = working_response(latent, shares, items)
    assert np.isfinite(response).all() and np.isfinite(variance).all()
    assert variance[1] == pytest.approx(np.pi / 2 / 100) and variance[0] > 5 * variance[1]


def test_scores_outside_the_range_of_the_metric_are_refused():
    cells = pl.DataFrame({
        "value": [55.0], "run": ["a"], "model": ["m"], "language": ["en"], "languages": [["en"]], "amounts": [[10]],
    })  # fmt: skip
    with pytest.raises(TransferError, match="between 0 and 1, the range of the metric"):
        observations_of(cells)
    assert observations_of(cells, high=100.0).shares.tolist() == [0.55]


def test_the_order_of_languages_makes_no_other_mixture():
    rows = [
        {"value": 0.5, "run": run, "model": "m", "language": "en", "languages": tags, "amounts": amounts}
        for run, tags, amounts in (("a", ["en", "sw"], [10, 20]), ("b", ["sw", "en", "de"], [20, 10, 0]))
    ]
    found: Observations = observations_of(pl.DataFrame(rows))
    assert len(set(found.mixtures)) == 1
