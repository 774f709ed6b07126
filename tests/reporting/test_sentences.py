from dataclasses import replace

import polars as pl

from crosslift.reporting import sentences


def forced(data, **limits):
    """The data with these limits in all primary rows."""
    changes = {name: pl.when("primary").then(pl.lit(value)).otherwise(name) for name, value in limits.items()}
    return replace(data, estimates=data.estimates.with_columns(**changes))


def test_interval_above_zero_supports_below_contradicts_and_across_cannot_tell():
    assert sentences.gain_verdict(0.01, 0.2) == "supports"
    assert sentences.gain_verdict(-0.2, -0.01) == "contradicts"
    assert sentences.gain_verdict(-0.1, 0.1) == "cannot tell" == sentences.gain_verdict(0.0, 0.0)
    assert sentences.gain_verdict(None, None) == "not estimated"


def test_cannot_tell_names_both_ends(data):
    found = sentences.conclusions(forced(data, value=0.01, low=-0.021, high=0.043))
    assert {answer.verdict for answer in found} == {"cannot tell"}
    assert "A loss of 2.1 and a gain of 4.3 points" in found[0].finding
    assert "undecided: the study cannot tell" in sentences.headline(found)


def test_claim_that_correction_takes_away_says_so(data):
    found = sentences.conclusions(forced(data, value=0.03, low=0.001, high=0.06, p_adjusted=0.2))
    assert not any(
        answer.survives_correction for answer in found
    ) and "do not survive correction" in sentences.headline(found)


def test_error_is_told_and_leaves_the_statement_open(broken):
    found = sentences.conclusions(broken)
    assert found[0].verdict == "not estimated" and "3 errors: run again" in found[0].finding
    assert "3 failed because of a program error" in sentences.failures(broken)


def test_study_without_primary_contrast_is_exploratory(data):
    assert "exploratory" in sentences.headline([])


def test_confounds_name_the_volume_that_is_not_held_fixed(data):
    told = " ".join(sentences.confounds(data))
    assert "times the training tokens" in told and "times the English examples" in told
    assert "untrained base model" in told and "One training seed" in told
    assert "times the training examples" not in told  # 497 to 500 in all arms


def test_truncation_that_differs_by_language_is_a_confound(data):
    told = [text for text in sentences.confounds(data) if "cut off" in text]
    assert told == []  # alike in all languages of the fixture
    cut = (pl.col("language") == "te") & (pl.col("item_id") < "test-0018") & (pl.col("metric") == "accuracy")
    scores = data.scores.with_columns(status=pl.when(cut).then(pl.lit("truncated")).otherwise("status"))
    (told,) = (text for text in sentences.confounds(replace(data, scores=scores)) if "cut off" in text)
    assert "math: answers are cut off at 96 tokens" in told and "(te 4" in told and "raise max_tokens" in told


def test_ratings_are_told_with_two_decimals_in_their_own_unit():
    assert sentences.points_text(-0.0312, signed=True, metric="rating") == "−0.03"
    assert sentences.points_text(3.4, metric="rating") == "3.40"


def test_points_have_a_true_minus_sign_and_no_negative_zero():
    assert sentences.points_text(-0.0312, signed=True) == "−3.1"
    assert sentences.points_text(-0.0001, signed=True) == "0.0" == sentences.points_text(0.0, signed=True)
    assert sentences.points_text(0.5, signed=True) == "+50.0"
