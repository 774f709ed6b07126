"""Number words: read back by value, and nothing else read."""

from __future__ import annotations

import pytest

pytest.importorskip("icu4py")

from crosslift.evaluation.tasks.math import final_number
from crosslift.languages.language import language
from crosslift.languages.numbers.notation import write
from crosslift.languages.numbers.number_words import parse_number_words, spellings

SAMPLE = (*range(0, 130), 199, 200, 342, 999, 1000, 1001, 1999, 7777)
LARGE = (10_000, 12_345, 60_494, 123_456, 1_000_000, 2_046_695_052)


@pytest.mark.parametrize(
    ("tag", "values"),
    [
        ("en", SAMPLE + LARGE),
        ("hr", SAMPLE),
        ("sw", SAMPLE + LARGE),
        ("tr", SAMPLE),
        ("km", SAMPLE),
        ("ka", SAMPLE + LARGE),
    ],
)
def test_numbers_are_read_back_by_value(tag: str, values: tuple[int, ...]) -> None:
    """All values up to 10,000 in all languages: benchmarks/languages.py."""
    for value in values:
        assert parse_number_words(spellings(value, tag)[0], tag) == value


def test_a_language_without_rules_has_no_spellings_rather_than_english_ones() -> None:
    assert spellings(18, "zu") == () and parse_number_words("eighteen", "zu") is None


@pytest.mark.parametrize(
    ("tag", "text", "value"),
    [
        ("tr", "onbir", 11),
        ("fr", "quatre vingts", 80),
        ("hr", "dvadeset jedan", 21),
        ("en", "one hundred and five", 105),
        ("it", "no ve", None),
        ("en", "on e", None),
        ("en", "ones", None),
        ("en", "", None),
    ],
)
def test_gaps_may_be_left_out_but_not_added(tag: str, text: str, value: int | None) -> None:
    assert parse_number_words(text, tag) == value


@pytest.mark.parametrize(
    ("tag", "text", "value"),
    [
        ("en", "The answer is eighteen.", "18"),
        ("en", "3 times 6 is easy. The answer is eighteen.", "18"),
        ("en", "####\neighteen", "18"),
        ("en", "So the total is twenty-one.", "21"),
        ("en", "The answer is one.", "1"),
        ("fr", "La réponse est dix-huit.", "18"),
        ("fr", "Il en reste quatre-vingt-dix-sept.", "97"),
        ("th", "คำตอบคือสิบแปดลูก", "18"),
        ("ko", "답은 열여덟 개입니다.", "18"),
        ("tr", "Answer: on sekiz", "18"),
        ("zh", "所以一共有二十四个。", "24"),
        ("ja", "全部で二十四個。", "24"),
        ("zh", "还剩五个。", "5"),
    ],
)
def test_a_spelled_answer_is_read_behind_a_cue_or_at_the_end(tag: str, text: str, value: str) -> None:
    found = final_number(text, language(tag))
    assert found is not None and write(found.value) == value


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        ("en", "The answer is one thing we cannot know."),
        ("en", "So she has eighteen apples left in the box."),
        ("de", "Die Antwort ist die sechs ersten Dinge."),
        ("tr", "The answer is on the table."),
        ("tr", "That is what he insisted on."),
        ("fr", "Il n'en reste qu'un."),
        ("zh", "他住在四川。"),
        ("zh", "他排第二。"),
        ("zh", "只有一个。"),
        ("zh", "这件事十分重要，成本上百万。"),
        ("ko", "답은 한국이다."),
        ("it", "Non ha detto nulla."),
    ],
)
def test_words_that_merely_look_like_a_number_are_not_read(tag: str, text: str) -> None:
    assert final_number(text, language(tag)) is None


def test_digits_in_the_sentence_of_an_answer_take_precedence() -> None:
    found = final_number("The answer is one of the following: 42", language("en"))
    assert found is not None and found.value == 42


def test_a_model_that_repeats_a_number_word_for_ever_costs_no_time() -> None:
    for text in ("million " * 400, "The answer is " + "two thousand and forty-six million " * 50):
        final_number(text, language("en"))  # without a limit on the ways to split it, this takes minutes
