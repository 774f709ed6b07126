import polars as pl
import pytest
from scipy import stats

from crosslift.transfer.estimates.multiplicity import adjust, benjamini_hochberg, holm


def test_holm_of_a_worked_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_benjamini_hochberg_agrees_with_scipy():
    p = [0.01, 0.04, 0.03, 0.005, 0.9]
    assert benjamini_hochberg(p) == pytest.approx(stats.false_discovery_control(p))


def test_primary_numbers_are_one_family_and_exploratory_questions_do_not_weaken_each_other():
    table = pl.DataFrame(
        {
            "estimand": ["gain"] * 6,
            "declared": ["a", "b", "a", "a", "b", "b"],
            "primary": [True, True, False, False, False, False],
            "p": [0.01, 0.02, 0.02, 0.5, 0.04, None],
        }
    )
    assert adjust(table)["p_adjusted"].to_list() == pytest.approx([0.02, 0.02, 0.04, 0.5, 0.04, None])
