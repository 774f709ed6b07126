"""The smallest difference that can be found is found in four of five studies."""

import numpy as np
import pytest
from scipy.stats import norm

from crosslift.transfer.design.power import detectable_run_difference


def test_a_pair_of_runs_on_250_items_shows_about_eight_points():
    assert detectable_run_difference(250) == pytest.approx(0.079, abs=0.001)


@pytest.mark.parametrize(("num_items", "discordance"), [(250, 0.2), (399, 0.14), (1000, 0.28)])
def test_it_is_found_with_the_power_asked_for(num_items: int, discordance: float):
    difference = detectable_run_difference(num_items, discordance=discordance)
    rng = np.random.default_rng(0)
    wins = (discordance + difference) / 2
    counts = rng.multinomial(num_items, [wins, discordance - wins, 1 - discordance], size=20_000)
    up, down = counts[:, 0], counts[:, 1]
    found = np.abs(up - down) / np.sqrt(up + down) > norm.ppf(0.975)  # McNemar's test
    assert found.mean() == pytest.approx(0.8, abs=0.02)


def test_more_items_and_less_discordance_show_less():
    assert detectable_run_difference(1000) < detectable_run_difference(250)
    assert detectable_run_difference(250, discordance=0.1) < detectable_run_difference(250)


def test_where_nothing_can_be_found_it_is_the_discordance():
    assert detectable_run_difference(3, discordance=0.1) == 0.1
