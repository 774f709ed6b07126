"""Answers of any length and form are read in a time that grows with their length, and never end in a traceback."""

from __future__ import annotations

import time

import polars as pl
import pytest
from fuzzing import CALLS, CONSTRAINTS

from crosslift.errors import CrossliftError
from crosslift.evaluation.calls import parse_calls
from crosslift.evaluation.constraints import is_followed
from crosslift.evaluation.scoring import MAX_CHARACTERS, score
from crosslift.evaluation.task import task
from crosslift.judging import forms
from crosslift.languages.identify import in_language
from crosslift.languages.language import language
from crosslift.scores import PREDICTIONS
from crosslift.untrusted.limits import OutOfTime, time_limit

LENGTH = 100_000
UNITS = (
    "a", "7", " ", "\n", "a.", "1-", "3 x ", "####", "\\boxed{", "1 million ", "1e300", "9" * 301 + " ", "[a(x='", "f(",
    "[a(x=[", "[a(x='[', ", "a(x=  ", '{"a":', "[", "<<", "¡", "¿", "* ", "`", "http://", "{", "rating: 5", "\u202e",
    "١", "十", "½", "-1",
)  # fmt: skip


def long_text(unit: str) -> str:
    return (unit * LENGTH)[:LENGTH]


@pytest.mark.slow
@pytest.mark.parametrize("unit", UNITS, ids=ascii)
def test_each_parser_reads_a_long_text_in_about_a_second(unit: str):
    text = long_text(unit)
    english = language("en")
    in_language("warm up the identifier with a sentence", english)
    for read in (
        parse_calls,
        forms.read_rating,
        forms.read_comparison,
        lambda text: parse_calls("API-Request: [" + text),
        lambda text: in_language(text, english),
        lambda text: task("math").score(text, "42", english),
        lambda text: task("math").score(text, "42", language("zh")),
        lambda text: task("instruction_following").score(text, '{"words": ["a", "b"]}', english),
        *(lambda text, answer=answer: task("api_calling").score(text, answer, english) for answer in CALLS),
    ):
        begun = time.process_time()
        read(text)
        assert time.process_time() - begun < 3  # below 1 on a quiet machine


@pytest.mark.parametrize("name", [name for name, _ in CONSTRAINTS])
def test_each_constraint_reads_a_long_text_in_about_a_second(name: str):
    arguments = dict(CONSTRAINTS)[name]
    for unit in ("<<", "[", "\n", "* ", "a ", "A", "*", ">>", "\n- "):
        begun = time.process_time()
        is_followed(f"en:{name}", arguments, (unit * 20_000)[:20_000])
        assert time.process_time() - begun < 3


def row(text: str, answer: str = "42") -> pl.DataFrame:
    given = {"sample_id": "i.en", "item_id": "i", "cluster": "i", "language": "en", "prompt": "", "text": text,
             "finish": "stop", "num_prompt_tokens": 1, "num_completion_tokens": 1, "answer": answer}  # fmt: skip
    return pl.DataFrame([given], schema=PREDICTIONS)


def test_an_answer_that_is_longer_than_any_counts_as_truncated():
    text = "The answer is 42." + " " * MAX_CHARACTERS
    for said, status in ((text[:MAX_CHARACTERS], "scored"), (text, "truncated"), ("9" * 50_000_000, "truncated")):
        begun = time.process_time()
        found = score(task("math"), row(said), run="r", evaluation="e", task_name="math")
        assert time.process_time() - begun < 3
        assert found.filter(metric="accuracy")["status"].to_list() == [status]


def test_a_pattern_that_never_ends_costs_its_row_and_no_other(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("crosslift.evaluation.scoring.SECONDS", 0.5)
    import json

    answer = json.dumps({"instruction_id_list": ["en:keywords:existence"], "kwargs": [{"keywords": ["(a|aa)+$"]}]})
    failures = []
    begun = time.monotonic()
    found = score(
        task("ifeval"), row("a" * 60 + "b", answer), run="r", evaluation="e", task_name="ifeval",
        report=lambda failure: failures.append(failure.error),
    )  # fmt: skip
    assert time.monotonic() - begun < 30
    assert set(found["status"]) == {"error"}
    assert isinstance(failures[0], OutOfTime)


def test_json_nested_deep_is_no_call():
    for text in ("[" * 100_000, '{"a":' * 100_000, '{"f": {"a": ' + "[" * 900 + "]" * 900 + "}}", "f(a=" + "[" * 5000):
        assert parse_calls(text) == [] or parse_calls(text)[0].name == "f"


def test_a_rating_of_thousands_of_digits_is_none():
    assert forms.read_rating("Rating: " + "5" * 5000) is None
    assert forms.read_rating("Rating: 5") == 5.0


def test_a_clock_is_taken_down_again():
    with pytest.raises(OutOfTime), time_limit(0.05):
        while True:
            pass
    time.sleep(0.1)
    with time_limit(10):
        pass
    assert not issubclass(OutOfTime, CrossliftError)
