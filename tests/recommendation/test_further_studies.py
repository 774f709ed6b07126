"""Learning from several studies: a level per study and model, one response to the amounts."""

from __future__ import annotations

import numpy as np
import pytest

from crosslift.recommendation.observing.further_studies import pooled_observations
from crosslift.transfer.model.gaussian_process import fit_transfer_model
from crosslift.transfer.model.observations import Observations

TAGS = ("en", "sw", "de")


def observations(amounts, *, level=0.0, seed=0):
    """Scores that rise with the amount of the language itself, at some level."""
    generator = np.random.default_rng(seed)
    rows = [(f"r{run}", f"mixture {run}", tag) for run in range(len(amounts)) for tag in TAGS]
    values = [
        0.3 + level + 0.08 * np.log1p(amounts[int(run[1:])].get(tag, 0) / 100) + generator.normal(0, 0.005)
        for run, _, tag in rows
    ]
    return Observations(
        values=np.array(values),
        runs=np.array([run for run, _, _ in rows]),
        models=np.array(["tiny"] * len(rows)),
        languages=np.array([tag for _, _, tag in rows]),
        mixtures=np.array([mixture for _, mixture, _ in rows]),
        amounts={f"mixture {place}": one for place, one in enumerate(amounts)},
        sizes={"tiny": 6.0},
        fertility={("tiny", "sw"): 1.0},
    )


FEW = [{"en": 500.0}, {"en": 400.0, "de": 100.0}]
MANY = [
    {"en": 500.0},
    {"en": 400.0, "sw": 100.0},
    {"en": 250.0, "sw": 250.0},
    {"sw": 500.0},
    {"de": 300.0, "sw": 200.0},
]


def test_one_study_alone_is_what_it_was():
    one = observations(FEW)
    assert pooled_observations(one, []) is one


def test_names_of_further_studies_are_their_own_and_equal_amounts_are_one_mixture():
    found = pooled_observations(observations(FEW), [("b", observations(MANY))])
    assert set(found.models) == {"tiny", "tiny (b)"} and found.sizes["tiny (b)"] == 6.0
    assert len(set(found.runs)) == 7 and found.fertility["tiny (b)", "sw"] == 1.0
    own, further = found.models == "tiny", found.models == "tiny (b)"
    assert set(found.mixtures[own]) & set(found.mixtures[further]) == {"mixture 0"}
    assert found.amounts["mixture 1 (b)"] == MANY[1]


def test_a_further_study_informs_the_response_and_not_the_level():
    few, true = observations(FEW), 0.3 + 0.08 * np.log1p(2.5)
    asked = [{"en": 250.0, "sw": 250.0}]
    alone = fit_transfer_model(few).predict_mean(asked, "tiny", ["sw"])[0, 0]
    shifted = observations(MANY, level=0.3, seed=1)
    pooled = fit_transfer_model(pooled_observations(few, [("b", shifted)])).predict_mean(asked, "tiny", ["sw"])[0, 0]
    assert abs(pooled - true) < abs(alone - true)
    assert pooled == pytest.approx(true, abs=0.06)  # the other study is 0.3 higher
