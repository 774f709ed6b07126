from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from crosslift.errors import TransferError
from crosslift.scores import RUNS, SCORES
from crosslift.transfer.estimates.estimands import ESTIMANDS, relative_to_english, score, seen_unseen_gap
from crosslift.transfer.estimates.estimate import estimate
from crosslift.transfer.estimates.language_groups import language_groups

LANGUAGES = ("en", "es", "sw", "te")


def run_row(mixture, languages, seed=0, setting="math"):
    name = "m.base" if mixture == "base" else f"m.{mixture}.s{seed}"
    return {
        "run": name, "model": "m", "mixture": mixture, "family": "", "setting": setting, "seed": seed,
        "num_parameters": None, "languages": languages, "num_items": [1] * len(languages),
        "num_tokens": [1] * len(languages), "dose": None,
    }  # fmt: skip


def score_rows(run, values, clusters=None):
    """`values`: language -> one value per item; a text instead of a number is a status."""
    return [
        {
            "run": run, "evaluation": "math", "task": "math", "language": language, "sample_id": f"{item}.{language}",
            "item_id": str(item), "cluster": clusters[item] if clusters else str(item), "metric": "accuracy",
            "value": None if value == "error" else 0.0 if isinstance(value, str) else value,
            "status": value if isinstance(value, str) else "scored",
        }
        for language, column in values.items()
        for item, value in enumerate(column)
    ]  # fmt: skip


def toy(english, treated, **changes):
    """One item column per language for the runs m.en.s0 and m.mix.s0 (English, Spanish and Swahili trained on)."""
    runs = pl.DataFrame([run_row("en", ["en"]), run_row("mix", ["en", "es", "sw"])], schema=RUNS)
    rows = score_rows("m.en.s0", dict(zip(LANGUAGES, english, strict=True)))
    rows += score_rows("m.mix.s0", dict(zip(LANGUAGES, treated, strict=True)))
    return pl.DataFrame(rows, schema=SCORES), runs


def contrast(control="en", treatments=("mix",), primary=True, name="mix minus en"):
    return SimpleNamespace(name=name, control=control, treatments=treatments, primary=primary)


def one(table, **where):
    found = table.filter(**where)
    assert found.height == 1, found
    return found.row(0, named=True)


ENGLISH = [[1, 1, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]]
TREATED = [[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]


def test_values_are_those_of_a_pencil():
    scores, runs = toy(ENGLISH, TREATED)
    table = estimate(scores, runs, [contrast()], num_resamples=50)
    mixed = {"mixture": "mix", "control": ""}
    assert one(table, estimand="score", languages="all", **mixed)["value"] == pytest.approx(7 / 16)
    assert one(table, estimand="score", languages="non-English", **mixed)["value"] == pytest.approx(3 / 12)
    assert one(table, estimand="score", languages="seen", **mixed)["value"] == pytest.approx(3 / 8)
    assert one(table, estimand="score", languages="unseen", **mixed)["value"] == 0
    assert one(table, estimand="score", languages="high", **mixed)["value"] == pytest.approx(6 / 8)
    assert one(table, estimand="score", languages="low", **mixed)["value"] == pytest.approx(1 / 8)
    assert one(table, estimand="score", languages="sw", **mixed)["value"] == pytest.approx(1 / 4)
    assert one(table, estimand="relative_to_english", languages="non-English", **mixed)["value"] == pytest.approx(0.25)
    assert one(table, estimand="seen_unseen_gap", **mixed)["value"] == pytest.approx(3 / 8)
    assert one(table, estimand="gain", languages="all")["value"] == pytest.approx(2 / 16)
    assert one(table, estimand="gain", languages="te")["value"] == pytest.approx(-1 / 4)


def test_what_is_kept_of_english_is_a_ratio_to_the_control():
    scores, runs = toy(ENGLISH, TREATED)
    row = one(estimate(scores, runs, [contrast()], num_resamples=50), estimand="retention", languages="en")
    english = {name: sum(cells[0]) / 4 for name, cells in (("control", ENGLISH), ("treatment", TREATED))}
    assert row["value"] == pytest.approx(english["treatment"] / english["control"])
    assert row["p"] is None and row["control"] == "en"
    nothing = estimate(*toy([[0, 0, 0, 0], *ENGLISH[1:]], TREATED), [contrast()], num_resamples=50)
    row = one(nothing, estimand="retention", languages="en")
    assert row["value"] is None and row["note"] == "0 below the line: no ratio"


def test_groups_of_a_contrast_are_the_treatments():
    scores, runs = toy(ENGLISH, TREATED)
    table = estimate(scores, runs, [contrast()], num_resamples=50)
    # seen under the treatment: es and sw, also for the control, which saw neither
    assert one(table, estimand="gain", languages="seen")["value"] == pytest.approx(3 / 8 - 1 / 8)
    assert one(table, estimand="seen_unseen_gap_gain")["value"] == pytest.approx(2 / 8 + 1 / 4)


def test_error_blocks_exactly_the_numbers_that_it_touches():
    broken = [*TREATED[:2], ["error", "error", 0, 0], TREATED[3]]
    table = estimate(*toy(ENGLISH, broken), [contrast()], num_resamples=50)
    for languages in ("sw", "all", "low", "seen", "non-English"):
        row = one(table, estimand="gain", languages=languages)
        assert row["value"] is None and row["low"] is None and row["p"] is None
        assert row["note"] == "2 errors: run again"
    assert one(table, estimand="gain", languages="te")["value"] is not None
    assert one(table, estimand="score", languages="all", mixture="en")["value"] is not None


def test_model_failures_count_zero():
    failing = [TREATED[0], ["unparsed", 1, "truncated", "wrong_language"], *TREATED[2:]]
    table = estimate(*toy(ENGLISH, failing), [], num_resamples=50)
    assert one(table, estimand="score", languages="es", mixture="mix")["value"] == pytest.approx(1 / 4)


def test_missing_language_is_named_not_skipped():
    scores, runs = toy(ENGLISH, TREATED)
    scores = scores.filter(~((pl.col("run") == "m.mix.s0") & (pl.col("language") == "te")))
    row = one(estimate(scores, runs, [contrast()], num_resamples=50), estimand="gain", languages="all")
    assert row["value"] is None and row["note"] == "not evaluated: m.mix.s0 in te"


def test_run_evaluated_on_fewer_items_is_not_compared():
    scores, runs = toy(ENGLISH, TREATED)
    scores = scores.filter(~((pl.col("run") == "m.mix.s0") & (pl.col("sample_id") == "3.te")))
    row = one(estimate(scores, runs, [contrast()], num_resamples=50), estimand="gain", languages="te")
    assert row["value"] is None and "other items" in row["note"]


def test_run_that_should_have_been_evaluated_is_a_null_row():
    scores, runs = toy(ENGLISH, TREATED)
    table = estimate(scores.filter(run="m.en.s0"), runs, [contrast()], num_resamples=50)
    row = one(table, estimand="gain", languages="all")
    assert row["primary"] and row["value"] is None and "not evaluated: m.mix.s0" in row["note"]


def test_contrast_without_its_control_is_a_null_row():
    scores, runs = toy(ENGLISH, TREATED)
    row = one(estimate(scores, runs, [contrast(control="base")], num_resamples=50), declared="mix minus en")
    assert row["value"] is None and row["primary"] and row["note"] == "no run of base"


def test_group_without_languages_says_so():
    row = one(estimate(*toy(ENGLISH, TREATED), [], num_resamples=50), estimand="score", mixture="en", languages="seen")
    assert row["value"] is None and row["note"] == "seen: no such language"


def test_ratio_to_an_english_of_zero_says_so():
    table = estimate(*toy([[0, 0, 0, 0], *ENGLISH[1:]], TREATED), [], num_resamples=50)
    row = one(table, estimand="relative_to_english", mixture="en", languages="non-English")
    assert row["value"] is None and row["note"] == "0 below the line: no ratio"


def test_model_that_never_answers_is_not_known_to_score_exactly_zero():
    row = one(estimate(*toy(ENGLISH, TREATED), [], num_resamples=50), estimand="score", mixture="en", languages="sw")
    assert row["value"] == 0 and row["low"] == 0 and row["high"] == pytest.approx(1.96**2 / (4 + 1.96**2), abs=1e-3)
    assert "Wilson" in row["note"]


def test_one_seed_says_what_is_not_in_the_interval():
    row = one(estimate(*toy(ENGLISH, TREATED), [contrast()], num_resamples=50), estimand="gain", languages="all")
    assert row["num_seeds"] == 1 and "run-to-run noise is not in the interval" in row["note"]


def test_two_seeds_widen_the_interval_and_lose_the_note():
    scores, runs = toy(ENGLISH, TREATED)
    again = runs.with_columns(pl.col("run").str.replace("s0", "s1"), seed=pl.lit(1, pl.Int64))
    flipped = scores.with_columns(pl.col("run").str.replace("s0", "s1"), value=1 - pl.col("value"))
    table = estimate(pl.concat([scores, flipped]), pl.concat([runs, again]), [contrast()], num_resamples=200)
    row = one(table, estimand="gain", languages="all")
    assert row["num_seeds"] == 2 and row["note"] == "" and row["method"].endswith("items and seeds; p by t")
    assert row["value"] == pytest.approx(0) and row["low"] < -0.2 and row["high"] > 0.2


def test_seed_missing_in_scores_is_not_dropped():
    scores, runs = toy(ENGLISH, TREATED)
    extra = pl.DataFrame([run_row("mix", ["en", "es", "sw"], seed=1)], schema=RUNS)
    row = one(
        estimate(scores, pl.concat([runs, extra]), [contrast()], num_resamples=50), estimand="gain", languages="all"
    )
    assert row["value"] is None and "m.mix.s1" in row["note"]


def test_mean_over_treatments_is_what_a_contrast_was_declared_for():
    scores, runs = toy(ENGLISH, TREATED)
    other = run_row("other", ["en", "te"])
    runs = pl.concat([runs, pl.DataFrame([other], schema=RUNS)])
    scores = pl.concat(
        [scores, pl.DataFrame(score_rows("m.other.s0", dict(zip(LANGUAGES, ENGLISH, strict=True))), SCORES)]
    )
    table = estimate(scores, runs, [contrast(treatments=("en", "mix", "other"))], num_resamples=50)
    primary = one(table, primary=True)
    assert primary["mixture"] == "mean of 2" and primary["value"] == pytest.approx((2 / 16 + 0) / 2)
    assert one(table, estimand="gain", mixture="other", languages="all")["value"] == 0


def test_rows_in_another_order_give_the_same_bytes(tmp_path):
    scores, runs = toy(ENGLISH, TREATED)
    for name, table in {
        "a": estimate(scores, runs, [contrast()], num_resamples=60),
        "b": estimate(scores.reverse(), runs.reverse(), [contrast()], num_resamples=60),
    }.items():
        table.write_parquet(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_another_metric_of_the_task_is_never_primary():
    scores, runs = toy(ENGLISH, TREATED)
    both = pl.concat([scores, scores.with_columns(metric=pl.lit("aaa_first_in_the_alphabet"))])
    table = estimate(both, runs, [contrast()], num_resamples=50)
    assert one(table, primary=True)["metric"] == "accuracy"
    named = estimate(both, runs, [contrast()], num_resamples=50, primary_metrics={"math": "aaa_first_in_the_alphabet"})
    assert one(named, primary=True)["metric"] == "aaa_first_in_the_alphabet"


def test_tables_that_contradict_themselves_are_refused():
    scores, runs = toy(ENGLISH, TREATED)
    with pytest.raises(TransferError, match="twice"):
        estimate(pl.concat([scores, scores.head(1)]), runs, [])
    with pytest.raises(TransferError, match="lacks: m\\.mix"):
        estimate(scores, runs.head(1), [])
    with pytest.raises(TransferError, match="two clusters"):
        estimate(scores.with_columns(cluster=pl.col("sample_id")), runs, [])
    with pytest.raises(TransferError, match="has the value 0"):
        estimate(scores.with_columns(value=pl.lit(None, pl.Float64)), runs, [])


@pytest.mark.parametrize("estimand", ESTIMANDS, ids=lambda estimand: estimand.name)
def test_linear_estimands_are_the_sum_of_their_clusters(estimand):
    languages = language_groups(LANGUAGES, ("es",))
    means = np.random.default_rng(0).random((4, 30))
    total = means.sum(axis=1, keepdims=True)
    for label in estimand.labels(languages):
        if all(len(languages[group]) for group in estimand.required_groups(label)):
            parts = estimand.function(means, languages, label).sum()
            assert (parts == pytest.approx(estimand.function(total, languages, label)[0])) == estimand.linear or (
                label == "en"
            )


def test_functions_take_columns_together_as_well_as_apart():
    languages = language_groups(LANGUAGES, ("es",))
    means = np.random.default_rng(0).random((4, 5))
    for function, label in ((score, "all"), (relative_to_english, "seen"), (seen_unseen_gap, "")):
        apart = [function(means[:, [column]], languages, label)[0] for column in range(5)]
        assert np.array_equal(function(means, languages, label), apart)
