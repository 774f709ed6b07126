"""The transfer model finds planted responses; recommendations follow it, with their doubts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from crosslift.errors import TransferError
from crosslift.languages.similarity import KINDS
from crosslift.recommendation.acquisition import knowledge_gradient_batch
from crosslift.recommendation.objective import Budget, Objective
from crosslift.recommendation.recommend import recommend
from crosslift.transfer.model.cross_validation import cross_validate
from crosslift.transfer.model.features import FEATURES, PRESENCE, features_of
from crosslift.transfer.model.gaussian_process import fit_transfer_model
from crosslift.transfer.model.observations import Observations, observations_of

LANGUAGES = ("de", "en", "es", "sw")


def planted(
    *, models: tuple[str, ...] = ("one", "two"), mixtures: int = 14, noise: float = 0.01, seed: int = 0
) -> Observations:
    """Scores that rise with the log of a language's own amount, Swahili's twice as much."""
    generator = np.random.default_rng(seed)
    amounts = {}
    for number in range(mixtures):
        chosen = generator.choice(4, size=generator.integers(1, 5), replace=False)
        amounts[f"m{number}"] = {LANGUAGES[place]: float(generator.choice([100, 300, 900])) for place in chosen}
    rows = []
    for model in models:
        for name, held in amounts.items():
            for tag in LANGUAGES:
                rise = 0.08 if tag == "sw" else 0.04
                value = (
                    0.3 + 0.1 * (model == "two") + rise * np.log1p(held.get(tag, 0) / 100) + generator.normal(0, noise)
                )
                rows.append((value, f"{model}.{name}", model, tag, name))
    values, runs, names, tags, labels = zip(*rows, strict=True)
    return Observations(
        values=np.clip(values, 0, 1), runs=np.array(runs), models=np.array(names), languages=np.array(tags),
        mixtures=np.array(labels), amounts=amounts,
    )  # fmt: skip


def test_features_tell_own_related_and_total_amounts():
    found = features_of([{"en": 300, "es": 100}], ["en", "es", "th"], FEATURES)[0]
    own, genetic, _, script, total = found.T[:5]
    assert own == pytest.approx(np.log1p([3, 1, 0]))
    assert total == pytest.approx(np.log1p([4, 4, 4]))
    assert script == pytest.approx(np.log1p([1, 3, 0]))
    assert genetic[2] == 0 < genetic[0] < script[0]


def test_a_presence_tells_whether_there_is_any_amount_and_hardly_how_much():
    names = [name for name in FEATURES if name.endswith(PRESENCE)]
    assert names[0] == "own presence" and len(names) == len(KINDS) + 1
    none, few, many = features_of([{}, {"en": 20}, {"en": 2000}], ["en", "es", "th"], names)
    assert (none == 0).all() and few[0, 0] > 0.95 and few[1:, 0].max() == 0
    assert many[0] == pytest.approx(few[0], abs=0.05) and few[1, names.index(f"script{PRESENCE}")] > 0.95


def test_a_step_at_the_first_items_is_predicted_for_amounts_that_were_not_observed():
    doses = {"none": 0, "five": 5, "twenty": 20, "fifty": 50, "hundred": 100, "most": 250}
    amounts = {name: {"en": 500.0} | ({"sw": float(dose)} if dose else {}) for name, dose in doses.items()}
    cells = [(name, tag) for name in amounts for tag in ("en", "sw")]
    levels = {name: 0.02 if name == "none" else 0.6 + 0.0008 * dose for name, dose in doses.items()}
    observed = Observations(
        values=np.array([0.9 if tag == "en" else levels[name] for name, tag in cells]),
        runs=np.array([name for name, _ in cells]), models=np.repeat("one", len(cells)),
        languages=np.array([tag for _, tag in cells]), mixtures=np.array([name for name, _ in cells]), amounts=amounts,
    )  # fmt: skip
    fitted = fit_transfer_model(observed.take(~np.isin(observed.mixtures, ["twenty", "fifty"])))
    found = fitted.predict_mean([amounts["twenty"], amounts["fifty"]], "one", ["sw"])
    assert found[:, 0] == pytest.approx([levels["twenty"], levels["fifty"]], abs=0.1)


def test_the_model_predicts_what_it_has_not_seen_and_knows_where_it_does_not_know():
    fitted = fit_transfer_model(planted())
    mixture = {"en": 300.0, "sw": 300.0}
    mean, covariance = fitted.predict([mixture], "one", LANGUAGES)
    wanted = [0.3 + rise * np.log1p(amount / 100) for rise, amount in ((0.04, 0), (0.04, 300), (0.04, 0), (0.08, 300))]
    assert mean == pytest.approx(wanted, abs=0.03)
    assert fitted.predict_mean([mixture], "one", LANGUAGES)[0] == pytest.approx(mean)
    far = fitted.predict([{"sw": 90_000.0}], "one", ["sw"])[1]
    assert far[0, 0] > 4 * covariance[3, 3]


def test_whole_mixtures_left_out_are_predicted_better_than_by_plain_rules():
    found = cross_validate(planted())
    assert found.rmse_model < 0.5 * min(found.rmse_mean, found.rmse_nearest) and found.error_reduction[1] > 0
    assert found.error_reduction_by_similarity[1] < 0.0001  # nothing was planted for it to find


def test_leaving_out_at_one_fit_is_leaving_out_with_fits_of_their_own():
    observed = planted(models=("one",), mixtures=9)
    fitted = fit_transfer_model(observed)
    together = fitted.expected_scores(*fitted.predict_left_out(observed.mixtures))
    apart = np.empty_like(together)
    for label in set(observed.mixtures):
        out = observed.mixtures == label
        rest = fit_transfer_model(observed.take(np.flatnonzero(~out)), initial_log_variances=fitted.log_variances)
        tags = observed.languages[out]
        apart[out] = rest.predict_mean([observed.amounts[label]], "one", list(tags))[0]
    errors = [np.sqrt(np.mean((one - observed.values) ** 2)) for one in (together, apart)]
    assert errors[0] == pytest.approx(errors[1], rel=0.1, abs=0.002)


def test_the_recommended_mixture_puts_the_budget_where_it_gains_most():
    fitted = fit_transfer_model(planted())
    found = recommend(fitted, "one", Objective(languages=LANGUAGES), Budget(amount=1200, languages=LANGUAGES))
    assert sum(found.amounts.values()) == pytest.approx(1200)
    assert found.amounts["sw"] == max(found.amounts.values()) and len(found.amounts) == 4
    assert {one.name for one in found.comparisons} == {"the same of every language", "the best mixture tried"}
    assert 0 <= found.probability_best <= 1 and found.low < found.expected_objective < found.high


def test_costs_bounds_and_weights_change_what_is_recommended():
    fitted = fit_transfer_model(planted())
    everywhere = Objective(languages=LANGUAGES)
    dear = recommend(fitted, "one", everywhere, Budget(amount=1200, languages=LANGUAGES, costs={"sw": 20.0}))
    cheap = recommend(fitted, "one", everywhere, Budget(amount=1200, languages=LANGUAGES))
    assert dear.amounts.get("sw", 0) < 0.3 * cheap.amounts["sw"]
    users = Objective(languages=LANGUAGES, kind="weighted", weights={"es": 1.0})
    assert (
        max(
            recommend(fitted, "one", users, Budget(amount=600, languages=LANGUAGES)).amounts.items(),
            key=lambda one: one[1],
        )[0]
        == "es"
    )
    bounded = replace(users, at_least={"en": 0.34})
    kept = recommend(fitted, "one", bounded, Budget(amount=600, languages=LANGUAGES))
    assert kept.expected_by_language["en"] > 0.34
    with pytest.raises(TransferError, match="no candidate keeps English"):
        recommend(fitted, "one", replace(users, at_least={"en": 0.99}), Budget(amount=600, languages=LANGUAGES))


def test_noise_says_that_it_cannot_tell():
    fitted = fit_transfer_model(planted(noise=0.4, mixtures=6, models=("one",)))
    found = recommend(fitted, "one", Objective(languages=LANGUAGES), Budget(amount=1200, languages=LANGUAGES))
    assert found.verdict in ("cannot tell", "as good")


def test_the_next_run_is_the_one_that_can_change_the_choice():
    fitted = fit_transfer_model(planted(models=("one",), mixtures=8))
    tried = list(fitted.observed.amounts.values())
    strange = {"th": 2000.0, "sw": 900.0, "de": 900.0, "en": 900.0}  # as good as the best, with a language never held
    dull = {"de": 110.0}  # never held either, and far from the best
    expected = fitted.predict_mean(tried, "one", LANGUAGES).mean(axis=1)
    order = knowledge_gradient_batch(
        fitted, "one", Objective(languages=LANGUAGES), [*tried, strange, dull], batch_size=10
    )
    places = [place for place, _ in order]
    assert places[0] == 8 and set(places[1:3]) == set(np.argsort(-expected)[:2].tolist())
    assert dict(order)[9] < 0.3 * order[0][1]


def test_before_anything_is_known_the_first_run_is_broad():
    nothing = fit_transfer_model(planted().take(np.zeros(0, dtype=int)))
    runs = [{"en": 100.0}, {"en": 900.0}, dict.fromkeys(LANGUAGES, 225.0), {"sw": 100.0}]
    order = knowledge_gradient_batch(nothing, "one", Objective(languages=LANGUAGES), runs, batch_size=4)
    assert order[0][0] == 2


def test_a_model_that_was_never_observed_is_told_from_the_others_and_less_surely():
    fitted = fit_transfer_model(planted(models=("one", "two", "three")))
    budget = Budget(amount=1200, languages=LANGUAGES)
    seen = recommend(fitted, "one", Objective(languages=LANGUAGES), budget)
    unseen = recommend(fitted, "four", Objective(languages=LANGUAGES), budget)
    assert unseen.amounts["sw"] == max(unseen.amounts.values())
    assert unseen.high - unseen.low > 2 * (seen.high - seen.low)
    assert any("nothing was observed of four" in caveat for caveat in unseen.caveats)


def test_too_little_to_learn_from_is_refused():
    alone = fit_transfer_model(planted(models=("one",), mixtures=1))
    with pytest.raises(TransferError, match="at least 2 mixtures; there are 1"):
        recommend(alone, "one", Objective(languages=LANGUAGES), Budget(amount=600, languages=LANGUAGES))
    cells = pl.DataFrame(
        {"value": [0.1], "run": ["a"], "model": ["m"], "language": ["en"], "languages": [["en"]], "amounts": [None]}
    )
    with pytest.raises(TransferError, match="amounts of the training languages are unknown"):
        observations_of(cells)


def test_size_and_fertility_are_taken_from_the_runs():
    rows = [
        {"value": 0.1 * number, "run": f"{model}.{number}", "model": model, "language": "sw", "languages": ["en", "sw"],
         "amounts": [100, 100 + number], "num_tokens": [1000, 3000 + 30 * number], "num_parameters": size}
        for model, size in (("s", 10**8), ("l", 10**9)) for number in range(4)
    ]  # fmt: skip
    found = observations_of(pl.DataFrame(rows))
    assert found.sizes == {"s": 8.0, "l": 9.0}
    assert found.fertility["s", "sw"] == pytest.approx(np.log(30)) and found.fertility["l", "en"] == pytest.approx(
        np.log(10)
    )


def test_levels_that_grow_with_size_are_found():
    models = tuple(f"m{size}" for size in range(5))
    observed = planted(models=models, mixtures=10, noise=0.005)
    sizes = {model: float(size) for size, model in enumerate(models)}
    grown = observed.values + np.array([0.05 * sizes[model] for model in observed.models])
    fitted = fit_transfer_model(replace(observed, values=grown, sizes=sizes))
    plain = fit_transfer_model(replace(observed, values=grown))
    assert fitted.component_deviations()["size"] > 0.04
    larger = fit_transfer_model(replace(observed, values=grown, sizes=sizes | {"m5": 5.0}))
    levels = [larger.predict_mean([{"en": 300.0}], model, LANGUAGES).mean() for model in ("m4", "m5")]
    assert levels[1] > levels[0] + 0.02  # a model that was never trained, by its size
    assert fitted.log_likelihood > plain.log_likelihood
