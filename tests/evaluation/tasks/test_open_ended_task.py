"""Open-ended answers against a reference."""

from __future__ import annotations

import pytest

from crosslift.evaluation.tasks import open_ended
from crosslift.languages.language import language


def test_nearer_answers_score_higher_and_the_same_answer_scores_one():
    gold = "Boil the water, add the pasta and wait ten minutes."
    same = open_ended.score(gold, gold, language("en")).values
    near = open_ended.score("Boil water and add the pasta.", gold, language("en")).values
    far = open_ended.score("Paris is the capital of France.", gold, language("en")).values
    assert same["chrf"] == same["rouge_l"] == 1
    for metric in ("chrf", "rouge_l"):
        assert same[metric] > near[metric] > far[metric]


def test_no_word_is_unparsed_and_an_empty_reference_is_our_mistake():
    found = open_ended.score(" ... ", "An answer.", language("en"))
    assert found.status == "unparsed"
    assert set(found.values) == set(open_ended.METRICS)
    with pytest.raises(ValueError, match="contains no word"):
        open_ended.score("Yes.", "--", language("en"))
