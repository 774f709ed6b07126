"""Mixed models with crossed random effects: against whole matrices, against statsmodels, against planted truth."""

from __future__ import annotations

import numpy as np
import pytest

from crosslift.errors import TransferError
from crosslift.transfer.variance.mixed_model import fit_mixed_model, level_codes


def crossed(seed: int, *, items: int = 40, runs: int = 12, languages: int = 5):
    """As benchmarks/mixed.py and its peer had it: `numpy.random.default_rng(0)`."""
    generator = np.random.default_rng(seed)
    item, run, language = (axis.ravel() for axis in np.meshgrid(*map(range, (items, runs, languages)), indexing="ij"))
    x = (run % 2).astype(float)
    y = 0.5 + 0.1 * x + 0.2 * generator.standard_normal(items)[item] + 0.1 * generator.standard_normal(runs)[run]
    y = y + 0.05 * generator.standard_normal(languages)[language] + 0.3 * generator.standard_normal(len(y))
    return y, np.column_stack([np.ones_like(x), x]), {"item": item, "run": run, "language": language}


def test_estimates_are_those_of_statsmodels():
    """statsmodels 0.15.0, MixedLM with variance components, on the same numbers."""
    fit = fit_mixed_model(*crossed(0))
    assert fit.coefficients == pytest.approx([0.553461, 0.089115], abs=1e-5)
    assert fit.standard_errors == pytest.approx([0.059889, 0.073785], rel=1e-3)
    assert fit.standard_deviations["item"] == pytest.approx(0.174781, rel=1e-3)
    assert fit.standard_deviations["run"] == pytest.approx(0.126025, rel=1e-3)
    assert fit.standard_deviations["language"] == pytest.approx(0.022458, rel=1e-3)
    assert fit.residual_sd == pytest.approx(0.300206, rel=1e-4)
    assert fit.log_likelihood == pytest.approx(-604.4646, abs=1e-3)


def test_standard_errors_and_effects_are_those_of_whole_matrices():
    y, design, groups = crossed(1, items=10, runs=6, languages=3)
    fit = fit_mixed_model(y, design, groups)
    blocks = {name: (codes[:, None] == np.arange(codes.max() + 1)).astype(float) for name, codes in groups.items()}
    covariance = fit.residual_sd**2 * np.eye(len(y))
    for name, block in blocks.items():
        covariance += fit.standard_deviations[name] ** 2 * block @ block.T
    inverse = np.linalg.inv(covariance)
    fixed = np.linalg.inv(design.T @ inverse @ design)
    coefficients = fixed @ design.T @ inverse @ y
    assert fit.coefficients == pytest.approx(coefficients, rel=1e-6)
    assert fit.standard_errors == pytest.approx(np.sqrt(np.diag(fixed)), rel=1e-6)
    expected = fit.standard_deviations["item"] ** 2 * blocks["item"].T @ inverse @ (y - design @ coefficients)
    assert fit.random_effects["item"] == pytest.approx(expected, abs=1e-8)
    assert sum(fit.variance_shares.values()) == pytest.approx(1.0)


def test_an_effect_that_is_not_there_is_found_to_be_nothing():
    generator = np.random.default_rng(3)
    group = np.repeat(np.arange(20), 30)
    y = generator.standard_normal(600)
    y -= np.repeat([y[group == place].mean() for place in range(20)], 30)  # groups differ by less than chance
    fit = fit_mixed_model(y, np.ones((600, 1)), {"group": group})
    assert fit.standard_deviations["group"] == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize(
    ("groups", "says"),
    [({"a": np.zeros(8, dtype=int)}, "1 levels"), ({"a": np.arange(8)}, "8 levels in 8 rows")],
)
def test_effects_that_cannot_be_told_are_refused(groups, says):
    with pytest.raises(TransferError, match=says):
        fit_mixed_model(np.arange(8.0), np.ones((8, 1)), groups)


def test_columns_that_depend_on_each_other_are_refused():
    with pytest.raises(TransferError, match="not identifiable"):
        fit_mixed_model(np.arange(8.0), np.ones((8, 2)), {"a": level_codes(list("aabbccdd"))})
