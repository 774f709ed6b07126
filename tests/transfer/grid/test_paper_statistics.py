"""The papers' figures and findings, on grids whose truth is known."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats
from transfer_grid import CORE, EVALUATED, Made, cells_of, coverage_runs, dose_runs, make

from crosslift.transfer.estimates.wilson import wilson_interval_of_share
from crosslift.transfer.grid import bilingual
from crosslift.transfer.grid.by_number import scores_by_number
from crosslift.transfer.grid.cells import cells
from crosslift.transfer.grid.doses import dose_statistics
from crosslift.transfer.grid.paper_claims import paper_claims
from crosslift.transfer.grid.regression import regression
from crosslift.transfer.grid.zero_shot import count_not_worse, zero_shot_differences
from crosslift.transfer.variance.between_seeds import between_seed_deviations

LOW = {"bn", "sw", "te"}


def helpful(run: Made, task: str, tag: str) -> float:
    """Each language adds a little everywhere, more to low-resource ones, and most to itself."""
    if run.mixture == "base":
        return 0.05
    return 0.2 + len(run.languages) * (0.05 if tag in LOW else 0.03) + 0.2 * (tag in run.languages)


def harmful(run: Made, task: str, tag: str) -> float:
    return 0.8 - 0.05 * len(run.languages)


def test_cells_follow_the_runs_and_share_their_resamples():
    found = cells_of(coverage_runs(), helpful)
    assert found.table.height == 2 * 12 * 6
    assert found.table["mixture"].unique(maintain_order=True)[0] == "base"
    en = found.where(mixture="coverage-en", language="en", model="a-s")
    assert en.table["value"].to_list() == [pytest.approx(0.2 + 0.03 + 0.2)]
    assert en.mean()[0] == pytest.approx(en.table["value"][0])
    # the same truth in both models: their resamples are equal, so the difference has no spread
    other = found.where(mixture="coverage-en", language="en", model="a-l")
    assert np.allclose(en.draws, other.draws)


def test_bilingual_gains_are_told_apart_by_setting_and_both_readings_agree_on_the_number():
    found = bilingual.bilingual_statistics(cells_of(coverage_runs(), helpful)).filter(evaluation="math")
    gains = dict(found.select("group", "mean").iter_rows())
    assert gains["English"] == pytest.approx(0.03)
    assert gains["direct"] == pytest.approx(0.2 + (0.03 * 2 + 0.05 * 2) / 4)
    assert set(found["group"]) == {"English", "direct", "transfer"}
    assert found["num_wins"].to_list() == found["num_cells"].to_list() == [8, 8, 32]
    assert (found["low"] <= found["mean"]).all() and (found["mean"] <= found["high"]).all()


def test_an_arm_with_other_mixtures_changes_nothing():
    arm = [Made("a-s", f"fixed-{'-'.join(tags)}", "fixed-items", "math", tags) for tags in (("en",), ("en", "es"))]
    alone = bilingual.bilingual_statistics(cells_of(coverage_runs(), helpful))
    beside = bilingual.bilingual_statistics(cells_of([*coverage_runs(), *arm], helpful))
    assert alone.equals(beside)


def test_zero_shot_is_compared_with_the_bilingual_mixture_of_the_same_language():
    found = zero_shot_differences(cells_of(coverage_runs(), helpful))
    row = found.filter(model="a-s", language="bn", num_languages=4).row(0, named=True)
    assert row["direct"] == pytest.approx(0.2 + 2 * 0.05 + 0.2)
    assert row["zero_shot"] == pytest.approx(0.2 + 4 * 0.05)
    assert row["mean"] == pytest.approx(row["zero_shot"] - row["direct"]) and row["high"] > row["mean"] > row["low"]
    assert "te" not in set(found["language"])  # in no mixture, so there is no direct
    shares = count_not_worse(found)
    models = shares["models"].unique(maintain_order=True).to_list()
    assert models == ["all models", "largest of each family", "a-s", "a-l"]
    counts = shares.filter(models="all models")
    assert counts["group"].to_list() == ["English", "high", "low"]
    assert counts["num_cases"].to_list() == [2, 4, 4]
    assert shares.filter(models="a-l", group="low")["num_cases"].to_list() == [2]
    assert (
        shares.filter(models="largest of each family").drop("models").equals(shares.filter(models="a-l").drop("models"))
    )


def test_the_t_test_of_zero_shot_is_the_textbooks_for_answers_that_are_right_or_wrong():
    found = zero_shot_differences(cells_of(coverage_runs(("a-s",)), helpful))
    row = found.filter(language="bn", num_languages=4).row(0, named=True)
    one, other = (np.repeat([1.0, 0.0], [round(200 * share), round(200 * (1 - share))]) for share in (
        row["zero_shot"], row["direct"]))  # fmt: skip
    assert row["p"] == pytest.approx(stats.ttest_ind(one, other).pvalue, rel=1e-6)


def test_both_readings_of_the_mean_by_number_have_one_mean_and_their_own_interval():
    found = scores_by_number(cells_of(coverage_runs(), helpful))
    row = found.filter(model="a-s", group="low", num_languages=5).row(0, named=True)
    assert row["num_cells"] == 3 and row["mean"] == pytest.approx(np.mean([0.2 + 0.25 + 0.2] * 2 + [0.2 + 0.25]))
    low, high = wilson_interval_of_share(row["mean"], 3 * 200)
    assert (row["wilson_low"], row["wilson_high"]) == (pytest.approx(low), pytest.approx(high))
    assert row["low"] < row["mean"] < row["high"]


def test_the_regression_recovers_what_the_cells_were_made_of():
    def linear(run: Made, task: str, tag: str) -> float:
        size = 0.1 * (run.model.endswith("l"))
        return (
            0.3
            + size
            - 0.15 * (run.mixture == "base")
            + 0.08 * (tag in run.languages)
            + 0.2 * np.sqrt(len(run.languages) / 5)
        )

    found = regression(cells_of(coverage_runs(), linear, num_items=1000))
    terms = dict(found.select("term", "mean").iter_rows())
    assert terms["log10 size"] == pytest.approx(0.1, abs=0.005)
    assert terms["base model"] == pytest.approx(-0.15, abs=0.005)
    assert terms["evaluation language in training"] == pytest.approx(0.08, abs=0.005)
    assert terms["sqrt(L / max L)"] == pytest.approx(0.2, abs=0.005)
    assert terms["R2, random rows held out"] > 0.99


def test_where_every_model_fails_at_everything_nothing_breaks():
    made = cells_of(coverage_runs(), lambda run, task, tag: 0.0)
    found = regression(made)
    assert found.filter(term="log10 size")["mean"][0] == pytest.approx(0, abs=1e-9)
    assert found.filter(pl.col("term").str.starts_with("R2"))["mean"].is_nan().all()
    assert {one.verdict for one in paper_claims(made) if "zero-shot" not in one.question} == {"cannot tell"}
    assert bilingual.bilingual_statistics(made)["num_wins"].sum() == 0


def test_findings_are_shown_where_the_world_is_made_so_and_not_where_it_is_the_other_way_round():
    shown = {(one.question, one.verdict) for one in paper_claims(cells_of(coverage_runs(), helpful))}
    assert ("More languages help", "supported") in shown
    assert ("Low-resource languages gain most", "supported") in shown
    assert ("One more language helps English", "cannot tell") in shown or (
        "One more language helps English", "supported",
    ) in shown  # fmt: skip
    other = {one.question: one.verdict for one in paper_claims(cells_of(coverage_runs(), harmful))}
    assert other["More languages help"] == "not supported"
    assert other["One more language helps English"] == "not supported"


def test_a_difference_of_nothing_is_rarely_told():
    """Twenty grids in which every answer is a coin: at 95 %, about one claim in twenty may be told."""
    scores, runs = make(coverage_runs(), lambda run, task, tag: 0.5, num_items=60)
    told, asked = 0, 0
    for seed in range(20):
        coins = np.random.default_rng(seed).integers(0, 2, scores.height).astype(float)
        made = cells(scores.with_columns(value=pl.Series(coins)), runs, {"math": "accuracy"}, num_resamples=200)
        verdicts = [one.verdict for one in paper_claims(made) if "zero-shot" not in one.question]
        told += sum(verdict != "cannot tell" for verdict in verdicts)
        asked += len(verdicts)
    assert asked == 100
    assert told <= 10


DOSES = (0, 5, 50, 100)
TASKS = ("math", "summaries")


def dosed(run: Made, task: str, tag: str) -> float:
    """Math grows with the dose, summaries are there at once; a larger model has a smaller gap; together math loses."""
    gain = 0.003 * (run.dose or 0) if task == "math" else 0.3 * bool(run.dose)
    gap = 0.0 if tag in ("en", "es", "ja") else (0.1 if run.model.endswith("l") else 0.3)
    return 0.4 + gain - gap - 0.15 * ("+" in run.setting and task == "math")


def test_dose_paper_claims():
    runs = [
        *dose_runs(("es", "ja"), DOSES, setting="math", models=("a-s", "a-l")),
        *dose_runs(("es", "ja"), DOSES, setting="summaries", models=("a-s", "a-l")),
        *dose_runs(("es", "ja"), DOSES, family="together", setting="math+summaries"),
    ]
    made = cells_of(runs, dosed, tasks=TASKS, evaluated=("en", "es", "ja", "ko", "pt"))
    found = {(one.question, one.about): one for one in paper_claims(made)}
    assert found["Math gains for longer than the other tasks", "a-s"].verdict == "supported"
    gap = found["A larger model has a smaller seen-unseen gap", "math"]
    assert (gap.verdict, round(gap.value, 2)) == ("supported", 0.2)
    hurt = found["Training on several tasks hurts math", "math, a-s"]
    assert (hurt.verdict, round(hurt.value, 2)) == ("supported", 0.15)

    table = dose_statistics(made)
    row = table.filter(evaluation="math", model="a-s", family="dose").row(0, named=True)
    assert row["spearman"] == pytest.approx(1.0)
    assert row["mean"] == pytest.approx(0.3)
    assert row["gap_mean"] == pytest.approx(0.0, abs=1e-9)
    assert row["plateau"] is None  # three doses above 0 do not say how rough a curve is


def test_where_dose_curves_are_flat():
    doses = (0, 5, 10, 50, 100, 200)
    runs = [one for task in TASKS for one in dose_runs(("es", "ja"), doses, setting=task, models=("a-s",))]
    made = cells_of(runs, dosed, tasks=TASKS, evaluated=("en", "es", "ja", "ko", "pt"))
    table = dose_statistics(made)
    found = {row["evaluation"]: row for row in table.iter_rows(named=True)}
    assert found["math"]["plateau"] == found["math"]["plateau_high"] == 200  # it rises to the end
    assert found["summaries"]["plateau"] == 5 and found["summaries"]["plateau_told"]


def test_replicates_tell_the_noise_between_seeds():
    def noisy(run: Made, task: str, tag: str) -> float:
        return 0.5 + 0.05 * (run.seed - 1)  # seeds 0, 1, 2: standard deviation 0.05

    runs = [Made("a-s", mixture, "coverage", "math", ("en",), seed=seed) for mixture in ("x", "y") for seed in range(3)]
    scores, facts = make(runs, noisy)
    found = between_seed_deviations(scores, facts, {"math": "accuracy"})
    row = found.filter(language="all").row(0, named=True)
    assert (row["df"], row["num_conditions"]) == (4, 2)
    assert row["raw"] == pytest.approx(0.05)
    assert 0 < row["net"] < row["raw"]
    assert set(found["language"]) == {"all", *EVALUATED}
    assert between_seed_deviations(*make(coverage_runs(), helpful), {"math": "accuracy"}).is_empty()


def test_a_study_without_these_designs_has_nothing_to_say():
    made = cells_of([Made("a-s", "only", "", "math", CORE)], helpful)
    assert paper_claims(made) == []
    for reading in (bilingual.bilingual_statistics, zero_shot_differences, regression, dose_statistics):
        assert reading(made).is_empty()
