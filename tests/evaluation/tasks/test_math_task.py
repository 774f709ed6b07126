from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosslift.evaluation.tasks import math
from crosslift.languages.language import language, tags
from crosslift.languages.numbers import han

LANGUAGES = [language(tag) for tag in tags()]
NUMERALS = "".join(han._DIGITS | han.UNITS)
ENDINGS = ["", ".", "。", "।", " $", " km.", "**", ")", "\n"]


def native(number: int, digits: str) -> str:
    return str(number).translate(str.maketrans("0123456789", digits))


@given(st.integers(-(10**7), 10**7), st.sampled_from(LANGUAGES), st.sampled_from(ENDINGS))
def test_the_gold_answer_scores_in_every_language(gold, tongue, ending):
    for answer in (str(gold), native(gold, tongue.digits), f"{gold:,}"):
        for form in ("{}", "{}", "#### {}", r"\boxed{{{}}}", tongue.answer_cue + " {}", tongue.answer_cue + ": **{}"):
            outcome = math.score(form.format(answer) + ending, str(gold), tongue)
            assert (outcome.status, outcome.values["accuracy"]) == ("scored", 1.0)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.sampled_from(LANGUAGES))
def test_another_number_never_scores_though_it_begins_or_ends_like_the_gold(gold, other, tongue):
    for wrong in {other, gold * 10, gold + 10 ** len(str(gold)), -gold - 1} - {gold}:
        outcome = math.score(f"{tongue.answer_cue} {wrong}.", str(gold), tongue)
        assert (outcome.status, outcome.values["accuracy"]) == ("scored", 0.0)


@pytest.mark.slow
@given(st.text(st.characters(exclude_categories=["Nd", "No"], exclude_characters=NUMERALS)), st.sampled_from(LANGUAGES))
def test_text_without_a_digit_is_unparsed_and_worth_nothing(text, tongue):
    outcome = math.score(text, "5", tongue)
    assert (outcome.status, outcome.values["accuracy"], outcome.parsed) == ("unparsed", 0.0, None)


@pytest.mark.parametrize(
    ("tag", "text", "committed"),
    [
        ("en", "Since 3 + 4 = 7, now Anna has 7 apples. The answer is 7.", "7"),
        ("en", "The answer is 42 (that is, 6 boxes of 7).", "42"),
        ("en", "The answer is 12. No, wait: the answer is 13.", "13"),
        ("en", "The answer is 3 × 14 = 42 apples, one per day of 6 weeks", "42"),
        ("en", "The answer is 3*14=42\nChecked in 2024.", "42"),
        ("en", "She pays 48/2 = 24.\n#### 24\nDone in 2 steps", "24"),
        ("en", r"so \boxed{1{,}080} and 7 more", "1080"),
        ("en", r"\boxed{\frac{1}{2}}", "0.5"),
        ("en", "There are 5, so 6 in all. The answer is:\n\n$70,000.00", "70000"),
        ("en", "It grew from 5 to 8, and 9 - 11 = -2", "-2"),
        ("sw", "Jibu ni 7, si 8", "7"),
        ("sw", "The answer is 7, and 8 is not", "7"),
        ("ja", "3+4=7なので、答えは7個です。残りは2個。", "7"),
        ("de", "Das macht 1.234,50 Euro", "1234.5"),
        ("bn", "উত্তর হলো ১৮টি।", "18"),
        ("en", "the answer is clear: nothing else than 5", "5"),
        ("en", "5 apples. The answer is", "5"),
    ],
)
def test_the_number_that_an_answer_commits_to(tag, text, committed):
    assert math.score(text, committed, language(tag)).parsed == committed


def test_an_ambiguous_mark_is_read_in_the_models_favour_and_in_no_third_way():
    german = language("de")
    assert math.score("Die Antwort ist 1,234", "1234", german).values["accuracy"] == 1
    assert math.score("Die Antwort ist 1.234", "1234", german).values["accuracy"] == 1
    assert math.score("Die Antwort ist 1,23", "123", german).values["accuracy"] == 0
    assert math.score("The answer is 1.234", "1234", language("en")).values["accuracy"] == 0


def test_an_answer_in_another_language_is_right_and_known_to_be_so():
    outcome = math.score("She gave two apples away, so the answer is 7.", "7", language("bn"))
    assert outcome.values == {"accuracy": 1.0, "in_language": 0.0}


def test_a_gold_answer_that_is_no_number_is_our_error():
    with pytest.raises(ValueError, match="not a number"):
        math.score("7", "seven", language("en"))
