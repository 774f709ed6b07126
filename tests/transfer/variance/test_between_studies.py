"""Random effects of studies agree with the published analysis of the BCG trials, and cover the truth."""

from __future__ import annotations

import numpy as np
import pytest

from crosslift.errors import TransferError
from crosslift.transfer.variance.between_studies import random_effects, weighted_mean

BCG_VALUES = [
    -0.8893,
    -1.5854,
    -1.3481,
    -1.4416,
    -0.2175,
    -0.7861,
    -1.6209,
    0.0120,
    -0.4694,
    -1.3713,
    -0.3394,
    0.4459,
    -0.0173,
]
BCG_VARIANCES = [0.3256, 0.1946, 0.4154, 0.0200, 0.0512, 0.0069, 0.2230, 0.0040, 0.0564, 0.0730, 0.0124, 0.5325, 0.0714]
"""Log relative risks of 13 trials (G. A. Colditz et al. 1994, JAMA 271, 698-702), as in metafor's dat.bcg."""


def test_the_bcg_trials_give_what_metafor_gives():
    """rma(yi, vi, method="REML", test="knha") and confint: W. Viechtbauer (2010), J. Statistical Software 36(3)."""
    found = random_effects(np.array(BCG_VALUES), np.diag(BCG_VARIANCES), level=0.95)
    assert found.between_sd**2 == pytest.approx(0.3132, abs=2e-3)
    assert found.value == pytest.approx(-0.7145, abs=2e-3)
    assert (found.between_low**2, found.between_high**2) == pytest.approx((0.1197, 1.1115), abs=5e-3)
    assert found.df == 12 and 0.178 < found.standard_error < 0.186


def test_intervals_cover_the_truth():
    generator = np.random.default_rng(0)
    variances = np.array([0.5, 1.0, 2.0, 1.0, 0.7])
    covered = np.zeros(2)
    for _ in range(300):
        values = generator.normal(3.0, 1.0, 5) + generator.normal(0, np.sqrt(variances))
        found = random_effects(values, np.diag(variances), level=0.95)
        covered += [found.low <= 3 <= found.high, found.between_low <= 1 <= found.between_high]
    assert (covered / 300 >= 0.92).all()


def test_errors_that_studies_share_do_not_average_out():
    together = np.ones((3, 3)) + 0.01 * np.eye(3)
    _, variance, weights = weighted_mean(np.zeros(3), together)
    assert variance > 1 and weights == pytest.approx(1 / 3)
    assert random_effects(np.zeros(3), np.ones((3, 3)), level=0.95).standard_error == pytest.approx(1, rel=0.01)


def test_two_studies_have_no_random_effect():
    with pytest.raises(TransferError, match="at least 3 studies"):
        random_effects(np.zeros(2), np.eye(2), level=0.95)
