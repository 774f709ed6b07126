"""Last lines of answers in many languages: the number that a reader would take for the answer."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from crosslift.evaluation.tasks import math
from crosslift.languages.language import language

LINES = tomllib.loads(Path(__file__).with_name("final_lines.toml").read_text(encoding="utf-8"))["lines"]


@pytest.mark.parametrize(("tag", "line", "gold"), LINES)
def test_the_final_number_is_read_as_a_speaker_reads_it(tag: str, line: str, gold: str):
    outcome = math.score(line, gold, language(tag))
    assert (outcome.parsed, outcome.values["accuracy"]) == (gold, 1.0)


@pytest.mark.parametrize(("tag", "line", "gold"), LINES)
def test_no_other_number_scores_on_the_same_line(tag: str, line: str, gold: str):
    for wrong in (f"{gold}1", f"1{gold.lstrip('-')}", "999983"):
        assert math.score(line, wrong, language(tag)).values["accuracy"] == 0


def test_the_lines_are_many_and_of_many_languages():
    assert len(LINES) >= 60
    assert len({tag for tag, _, _ in LINES}) >= 20
