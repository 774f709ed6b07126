"""Why a mixture is recommended and what would change it, on planted responses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_recommend import LANGUAGES, planted

from crosslift.recommendation.explaining.contributions import contributions
from crosslift.recommendation.explaining.explanation import Explanation, explain
from crosslift.recommendation.explaining.front import axes_of
from crosslift.recommendation.explaining.pilots import pilot_for
from crosslift.recommendation.joint import JointModel
from crosslift.recommendation.objective import Budget, JointObjective, Objective
from crosslift.recommendation.recommend import Recommendation, recommend
from crosslift.transfer.model.gaussian_process import fit_transfer_model

BUDGET = Budget(amount=900, languages=LANGUAGES, existing={"en": 300}, fixed_costs={"es": 100})
OBJECTIVE = Objective(languages=LANGUAGES, at_least={"en": 0.32})


@pytest.fixture(scope="module")
def fitted():
    return fit_transfer_model(planted(models=("one",)))


@pytest.fixture(scope="module")
def told(fitted) -> tuple[Recommendation, Explanation]:
    found = recommend(fitted, "one", OBJECTIVE, BUDGET)
    assert isinstance(found, Recommendation)
    return found, explain(fitted, "one", OBJECTIVE, BUDGET, found)


def test_each_language_contributes_most_to_itself_and_the_terms_sum_to_the_whole(fitted):
    mixture = {"sw": 300.0, "de": 300.0}
    for one in contributions(fitted, "one", Objective(languages=LANGUAGES), mixture):
        assert max(one.by_language, key=lambda tag: one.by_language[tag].value) == one.language
        assert max(one.by_term, key=lambda name: one.by_term[name]) == "own"
        assert sum(one.by_term.values()) == pytest.approx(one.objective.value, abs=0.015)
    whole = fitted.difference_by_term(mixture, mixture, "one", LANGUAGES)
    assert all(np.abs(part).max() < 1e-9 for part in whole.values())


def test_a_looser_constraint_is_not_worse_and_a_tighter_one_not_better(told):
    found, explanation = told
    by_name = {(one.constraint, one.change): one for one in explanation.changes}
    more, less = by_name["budget", "twice"].effect, by_name["budget", "half"].effect
    assert more is not None and less is not None and more.value > 0.005 and less.value < -0.005
    assert {one.kind for one in explanation.changes} == {"budget", "minimum score", "cost", "language"}
    without = by_name["sw", "left out"]
    assert without.amounts is not None and "sw" not in without.amounts and without.effect.value < 0
    for one in explanation.changes:
        if one.kind == "language" and one.amounts is not None:
            assert BUDGET.allows(one.amounts)
    assert "sw" in found.amounts


def test_no_mixture_on_the_front_is_exceeded_in_both(told):
    _, explanation = told
    assert explanation.front is not None and explanation.front.names == ("English", "mean of the other languages")
    front = [one for one in explanation.front.points if one.on_front]
    assert len(front) > 1
    for one in front:
        assert not any(o.first.value > one.first.value and o.second.value > one.second.value for o in front)


def test_a_pilot_of_a_new_language_tells_more_with_each_run(fitted):
    pilot = pilot_for(fitted, "one", OBJECTIVE, BUDGET, "th", base={"sw": 300.0, "en": 300.0})
    assert pilot.amounts == {"sw": 225.0, "en": 225.0, "th": 150.0}
    assert 4 <= pilot.num_runs <= 12 and pilot.margin < pilot.margin_before


def test_several_evaluations_are_weighed_and_their_floors_are_their_own(fitted):
    other = fit_transfer_model(planted(models=("one",), seed=3))
    joint = JointModel(parts={"a": fitted, "b": other})
    parts = {"a": Objective(languages=LANGUAGES), "b": Objective(languages=("en", "sw"), at_least={"en": 0.3})}
    objective = JointObjective(parts=parts, part_weights={"a": 3.0, "b": 1.0})
    assert objective.languages[-2:] == ("b:en", "b:sw")
    mixtures = [{"en": 300.0}, {"sw": 300.0, "en": 100.0}]
    median = joint.predict_median(mixtures, "one", objective.languages)
    assert median[:, :4] == pytest.approx(fitted.predict_median(mixtures, "one", LANGUAGES))
    assert median[:, 4:] == pytest.approx(other.predict_median(mixtures, "one", ["en", "sw"]))
    expected = 0.75 * parts["a"].value(median[:, :4]) + 0.25 * parts["b"].value(median[:, 4:])
    assert objective.value(median) == pytest.approx(expected)
    assert objective.language_weights(median[0]) @ median[0] == pytest.approx(expected[0])
    latent = joint.predict_latent(mixtures, "one", objective.languages)
    assert latent.mean[6:10] == pytest.approx(fitted.predict_latent(mixtures, "one", LANGUAGES).mean[4:])
    found = recommend(joint, "one", objective, Budget(amount=900, languages=LANGUAGES))
    assert isinstance(found, Recommendation) and found.expected_by_language["b:en"] > 0.3
    explanation = explain(joint, "one", objective, Budget(amount=900, languages=LANGUAGES), found)
    assert explanation.front is not None and explanation.front.names == ("a", "b")
    assert axes_of(Objective(languages=("sw",))) is None


def test_imported_cells_without_items_are_recommended_from():
    observed = replace(planted(), num_effective=None)
    fitted = fit_transfer_model(observed)
    budget = Budget(amount=1200, languages=LANGUAGES)
    found = recommend(fitted, "two", Objective(languages=LANGUAGES), budget)
    assert isinstance(found, Recommendation) and 0 <= found.low <= found.expected_objective <= found.high <= 1
    expected = fitted.predict_mean(list(observed.amounts.values()), "two", LANGUAGES)
    rows = observed.models == "two"
    near = np.abs(expected - observed.values[rows].reshape(expected.shape)) < 0.03
    assert near.mean() >= 0.95 and ((expected >= 0) & (expected <= 1)).all()
