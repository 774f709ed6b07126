"""What a model answers is read, never run, in every task."""

from __future__ import annotations

from pathlib import Path

import pytest

from crosslift.discover import members
from crosslift.evaluation.calls import parse_calls
from crosslift.evaluation.task import task
from crosslift.languages.language import language

GOLD = {
    "math": "7",
    "api_calling": "[Weather(city='Nairobi')]",
    "summarization": "A cat sat down.",
    "open_ended": "A cat sat down.",
}
HOSTILE = (
    "__import__('pathlib').Path('TRAP').touch()",
    "[Weather(city=__import__('pathlib').Path('TRAP').touch())]",
    "Weather(city=[__import__('pathlib').Path('TRAP').touch()])",
    "The answer is {__import__('pathlib').Path('TRAP').touch()}",
    "\\boxed{__import__('pathlib').Path('TRAP').touch()}",
    "{{ cycler.__init__.__globals__.os.system('touch TRAP') }}",
    "$(touch TRAP) `touch TRAP` ; touch TRAP",
    '{"name": "Weather", "arguments": {"city": "$(touch TRAP)"}}',
)


@pytest.mark.parametrize("name", GOLD)
@pytest.mark.parametrize("text", HOSTILE)
def test_an_answer_is_scored_and_not_run(name: str, text: str, tmp_path: Path, monkeypatch, trap: Path):
    monkeypatch.chdir(tmp_path)
    task(name).score(text.replace("TRAP", str(trap)), GOLD[name], language("en"))


def test_the_tasks_with_a_plain_gold_are_all_tried():
    demands, likelihoods = {"ifeval", "instruction_following"}, {"multiple_choice", "perplexity"}  # regex; no answers
    assert set(members("task")) - GOLD.keys() == demands | likelihoods | {"lm_eval"}  # scored by the harness itself


@pytest.mark.parametrize("text", HOSTILE)
def test_values_of_calls_stay_text(text: str, trap: Path):
    for call in parse_calls(text.replace("TRAP", str(trap))):
        for _, value in call.arguments:
            assert isinstance(value, (str, list, dict))
