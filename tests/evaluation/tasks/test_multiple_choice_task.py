from __future__ import annotations

import json
import math

import pytest

from crosslift.errors import EvaluationError
from crosslift.evaluation.requests.kinds import Example
from crosslift.evaluation.tasks import multiple_choice
from crosslift.evaluation.tasks.multiple_choice import Choices
from crosslift.languages.language import language

QUESTION = [{"role": "user", "content": "What is the capital?"}, {"role": "assistant", "content": "Bonn"}]
ANSWER = Choices(choices=("Bonn", "Cologne"), gold=0).write()
SHOT = Example(
    messages=[{"role": "user", "content": "And the river?"}, {"role": "assistant", "content": "Rhine"}],
    answer=Choices(choices=("Elbe", "Rhine"), gold=1).write(),
)


def asked(prompt: str, *, tag: str = "de", shots=(), chat: bool = False, answer: str = ANSWER):
    return multiple_choice.request(QUESTION, answer, language(tag), prompt, shots=shots, chat=chat)


@pytest.mark.parametrize(
    ("prompt", "context", "choices"),
    [
        ("full", "What is the capital?", ("Bonn", "Cologne")),
        ("answer", "What is the capital?\nAnswer:", ("Bonn", "Cologne")),
        ("letters", "What is the capital?\nA: Bonn\nB: Cologne\nAnswer:", ("A", "B")),
        ("native_answer", "What is the capital?\nAntwort:", ("Bonn", "Cologne")),
        ("native_letters", "What is the capital?\nA: Bonn\nB: Cologne\nAntwort:", ("A", "B")),
    ],
)
def test_prompt_formats(prompt, context, choices):
    found = asked(prompt)
    assert (found.context, found.delimiter, found.choices) == (context, " ", choices)


def test_worked_examples_stand_before_the_question_with_their_right_choice():
    assert asked("full", shots=[SHOT]).context == "And the river? Rhine\n\nWhat is the capital?"
    assert asked("letters", shots=[SHOT]).context.startswith("And the river?\nA: Elbe\nB: Rhine\nAnswer: B\n\nWhat")


def test_in_a_chat_template_examples_are_turns_and_nothing_stands_before_a_choice():
    found = asked("letters", shots=[SHOT], chat=True)
    assert [message["role"] for message in found.context] == ["user", "assistant", "user"]
    assert found.context[1]["content"] == "B"
    assert found.delimiter == ""


def test_a_language_without_spaces_has_no_delimiter():
    answer = Choices(choices=("东京", "大阪"), gold=0, delimiter="").write()
    assert asked("full", tag="zh", answer=answer).delimiter == ""


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "4",
        "[]",
        '{"choices": ["a"], "gold": 0}',
        '{"choices": ["a", "b"], "gold": 2}',
        '{"choices": 3}',
        '{"choices": ["a", ""], "gold": 0}',
        '{"choices": ["a", "b"], "gold": true}',
    ],
)
def test_an_invalid_gold_answer_is_refused_with_an_example(answer):
    with pytest.raises(EvaluationError, match='"choices"'):
        asked("full", answer=answer)


def row(values: list[tuple[str, float, float]], gold: int) -> dict:
    kept = [
        {
            "text": text,
            "log_probability": value,
            "unconditional": alone,
            "is_greedy": False,
            "num_tokens": len(text.split()),
            "num_bytes": len(text.encode()),
        }
        for text, value, alone in values
    ]
    answer = json.dumps({"choices": [one["text"] for one in kept], "gold": gold})
    return {"finish": "stop", "answer": answer, "continuations": kept, "text": ""}


def test_normalisations_choose_as_their_names_say():
    choices = [("no", -4.0, -1.0), ("да да", -6.0, -9.0), ("a long answer", -13.5, -13.0)]
    wins = {
        metric: [multiple_choice.score_row(row(choices, gold), language("en")).values[metric] for gold in range(3)]
        for metric in multiple_choice.METRICS
    }
    assert wins["accuracy"] == [1, 0, 0]
    assert wins["accuracy_characters"] == [0, 0, 1]  # -2, -1.2, -1.04
    assert wins["accuracy_bytes"] == [0, 1, 0]  # -2, -0.67, -1.04
    assert wins["accuracy_tokens"] == [0, 1, 0]  # -4, -3, -4.5
    assert wins["accuracy_unconditional"] == [0, 1, 0]  # -3, 3, -0.5
    assert sum(wins["gold_probability"]) == pytest.approx(1)
    assert wins["gold_probability"][1] / wins["gold_probability"][0] == pytest.approx(math.exp(-2))


def test_likelihoods_far_below_the_smallest_float_have_a_probability():
    found = multiple_choice.score_row(row([("a", -2000.0, -1.0), ("b", -2001.0, -1.0)], 0), language("en"))
    assert found.values["gold_probability"] == pytest.approx(1 / (1 + math.exp(-1)))


def test_letters_are_for_evaluation_only():
    with pytest.raises(EvaluationError, match="for evaluation only"):
        multiple_choice.present(QUESTION, language("en"), "letters")
    assert multiple_choice.present(QUESTION, language("en"), "full")[-1]["content"] == "Bonn"
