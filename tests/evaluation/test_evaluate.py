from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from crosslift.corpora.corpus import ROWS
from crosslift.errors import CrossliftError, EvaluationError
from crosslift.evaluation.generator import Completion
from crosslift.evaluation.generators.hf import generator as hf
from crosslift.evaluation.requests.kinds import Example
from crosslift.evaluation.scoring import Failure, predict, score
from crosslift.evaluation.task import Outcome, task
from crosslift.languages.language import language, tags
from crosslift.scores import PREDICTIONS, SCORES

GOLDEN = Path(__file__).parent / "golden_prompts.json"


def rows(num: int = 3, tag: str = "en") -> pl.DataFrame:
    return pl.DataFrame(
        [
            {
                "item_id": f"i{number}",
                "language": tag,
                "messages": [
                    {"role": "user", "content": f"What is {number} + 1?"},
                    {"role": "assistant", "content": f"secret {number + 1}"},
                ],
                "answer": str(number + 1),
                "cluster": "c0",
                "origin": "human",
            }
            for number in range(num)
        ],
        schema=ROWS,
    )


class Parrot:
    """Answers with its own prompt as text."""

    def __init__(self, tokenizer) -> None:
        self.tokenizer = tokenizer

    def generate(self, prompts: Sequence[Sequence[int]], *, max_tokens: int) -> list[Completion]:
        return [
            Completion(text=self.tokenizer.decode(ids)[-max_tokens:], finish="stop", num_tokens=max_tokens)
            for ids in prompts
        ]


@pytest.fixture(scope="module")
def parrot(tiny_model):
    from crosslift.chat import load_tokenizer

    return Parrot(load_tokenizer(tiny_model("qwen3")))


def predictions(*answers: tuple[str, str, str], tag: str = "en") -> pl.DataFrame:
    """One row per (text, finish, gold)."""
    return pl.DataFrame(
        [
            {
                "sample_id": f"i{number}.{tag}",
                "item_id": f"i{number}",
                "cluster": f"i{number}",
                "language": tag,
                "prompt": "?",
                "text": text,
                "finish": finish,
                "num_prompt_tokens": 1,
                "num_completion_tokens": 1,
                "answer": gold,
            }
            for number, (text, finish, gold) in enumerate(answers)
        ],
        schema=PREDICTIONS,
    )


def scored(frame: pl.DataFrame, module=None, **options) -> dict[str, list]:
    table = score(module or task("math"), frame, run="r", evaluation="e", task_name="math", **options)
    assert table.schema == SCORES
    return {
        metric: list(part.select("value", "status").iter_rows())
        for (metric,), part in table.group_by("metric", maintain_order=True)
    }


def test_predictions_keep_the_order_of_the_rows_and_never_show_the_answer(parrot):
    table = predict(parrot, task("math"), rows(), prompt="bare", max_tokens=5)
    assert table.schema == PREDICTIONS
    assert table["sample_id"].to_list() == ["i0.en", "i1.en", "i2.en"]
    assert table["answer"].to_list() == ["1", "2", "3"]
    assert table["cluster"].to_list() == ["c0"] * 3
    assert "What is 2 + 1?" in table["prompt"][2]
    assert not any("secret" in prompt for prompt in table["prompt"])
    assert table["num_prompt_tokens"].min() > 10


def test_shots_stand_before_each_question_with_their_answers_in_the_same_prompt_form(parrot):
    shown = [{"role": "user", "content": "What is 9 + 9?"}, {"role": "assistant", "content": "It is 18."}]
    shot = Example(messages=shown, answer="18")
    table = predict(parrot, task("math"), rows(), prompt="mcot", max_tokens=5, shots=[shot, shot])
    for prompt in table["prompt"]:
        assert prompt.count("Question:") == 3
        assert prompt.count("It is 18.") == 2
        assert prompt.rindex("It is 18.") < prompt.rindex("Question:")
    assert "secret" not in "".join(table["prompt"])


def test_an_answer_ends_before_the_first_stop_text_and_is_then_not_truncated(parrot):
    class Rambling(Parrot):
        """Goes on with a next question, until the limit, as an untouched base model does."""

        def generate(self, prompts: Sequence[Sequence[int]], *, max_tokens: int) -> list[Completion]:
            text = "It is 1.\nQuestion:\nWhat is 5 + 5?\nAnswer: 10"
            return [Completion(text=text, finish="length", num_tokens=max_tokens) for _ in prompts]

    rambling = Rambling(parrot.tokenizer)
    without = predict(rambling, task("math"), rows(), prompt="mcot", max_tokens=5)
    assert set(without["finish"]) == {"length"}
    found = predict(rambling, task("math"), rows(), prompt="mcot", max_tokens=5, stop=["\nUser:", "\nQuestion:"])
    assert set(found.select("text", "finish").rows()) == {("It is 1.", "stop")}
    assert [value for value, _ in scored(found)["accuracy"]] == [1.0, 0.0, 0.0]


def test_predictions_are_made_for_one_language_at_a_time(parrot):
    with pytest.raises(EvaluationError, match="one language at a time"):
        predict(parrot, task("math"), pl.concat([rows(), rows(tag="sw")]), prompt="bare")


def test_an_unknown_prompt_form_is_named_with_its_neighbours(parrot):
    with pytest.raises(EvaluationError, match="Did you mean 'mcot'"):
        predict(parrot, task("math"), rows(), prompt="mcott")


def test_every_failure_has_its_status_and_only_program_errors_have_no_value():
    frame = predictions(
        ("The answer is 7.", "stop", "7"),
        ("The answer is 8.", "stop", "7"),
        ("I do not know.", "stop", "7"),
        ("The answer is 7.", "length", "7"),
        ("", "error", "7"),
    )
    assert scored(frame)["accuracy"] == [
        (1.0, "scored"),
        (0.0, "scored"),
        (0.0, "unparsed"),
        (0.0, "truncated"),
        (None, "error"),
    ]


def test_language_is_measured_whatever_became_of_the_content():
    english = "I would say that nobody can know this"
    frame = predictions((english, "stop", "7"), (english, "length", "7"), ("", "error", "7"), tag="sw")
    assert scored(frame)["in_language"] == [(0.0, "scored"), (0.0, "scored"), (None, "error")]


def test_a_right_answer_in_another_language_counts_only_where_it_may():
    frame = predictions(("She has seven of them, so the answer is 7.", "stop", "7"), tag="bn")
    assert scored(frame)["accuracy"] == [(1.0, "scored")]
    assert scored(frame, require_language=True)["accuracy"] == [(0.0, "wrong_language")]


def test_a_call_is_never_in_a_wrong_language():
    call = "[OrderFood(item='a large bowl of green apples', count='5')]"
    frame = predictions((call, "stop", call), tag="bn")
    assert scored(frame, task("api_calling"), require_language=True)["exact"] == [(1.0, "scored")]


def test_an_exception_while_scoring_is_handed_over_and_stops_no_other_row():
    failures: list[Failure] = []
    frame = predictions(("7", "stop", "seven"), ("7", "stop", "7"))
    assert scored(frame, report=failures.append)["accuracy"] == [(None, "error"), (1.0, "scored")]
    assert [(failure.sample_id, type(failure.error)) for failure in failures] == [("i0.en", ValueError)]


def test_an_exception_is_logged_with_its_cause_where_nobody_listens(caplog):
    scored(predictions(("7", "stop", "seven")))
    assert "i0.en" in caplog.text
    assert "ValueError" in caplog.text


def test_what_the_user_must_change_is_not_turned_into_rows():
    with pytest.raises(CrossliftError, match="not a known language"):
        scored(predictions(("7", "stop", "7"), tag="xx"))


def test_rows_stand_in_the_order_of_predictions_then_metrics():
    module = SimpleNamespace(
        METRICS=("b", "a"),
        score=lambda text, answer, language: Outcome(values={"a": 0.5, "b": 1.0}, status="scored"),
    )
    table = score(module, predictions(("x", "stop", "7"), ("y", "stop", "7")), run="r", evaluation="e", task_name="t")
    assert list(table.select("item_id", "metric", "value").iter_rows()) == [
        ("i0", "b", 1.0), ("i0", "a", 0.5), ("i1", "b", 1.0), ("i1", "a", 0.5),
    ]  # fmt: skip


def test_no_predictions_give_an_empty_table():
    assert score(task("math"), predictions(), run="r", evaluation="e", task_name="math").schema == SCORES


def test_a_tiny_model_runs_from_rows_to_scores(tiny_model):
    generator = hf.Generator(tiny_model("qwen3"), device="cpu")
    for name in ("math", "api_calling"):
        table = predict(generator, task(name), rows(5), prompt=task(name).PROMPTS[0], max_tokens=8)
        gold = table.with_columns(answer=pl.lit("[f(a='1')]")) if name == "api_calling" else table
        result = score(task(name), gold, run="r", evaluation="e", task_name=name)
        assert result.height == 5 * len(task(name).METRICS)
        assert set(result["status"]) <= {"truncated", "unparsed", "scored"}


CONVERSATION = [
    {"role": "system", "content": "S"},
    {"role": "user", "content": "first"},
    {"role": "assistant", "content": "hm"},
    {"role": "user", "content": "How many?"},
    {"role": "assistant", "content": "7"},
]


@pytest.mark.parametrize("name", ["math", "api_calling"])
def test_prompts_are_the_golden_ones_in_every_language(name: str):
    """After a wanted change: write the new questions to golden_prompts.json and say so in CHANGELOG.md."""
    golden = json.loads(GOLDEN.read_text("utf-8"))[name]
    assert list(golden) == list(task(name).PROMPTS)
    for prompt, questions in golden.items():
        for tag in tags():
            shown = task(name).present(CONVERSATION, language(tag), prompt)
            assert shown[3]["content"] == questions.get(tag, shown[3]["content"])
            assert [shown[place] for place in (0, 1, 2, 4)] == [CONVERSATION[place] for place in (0, 1, 2, 4)]


@pytest.mark.parametrize("tag", tags())
def test_mcot_asks_in_the_words_of_the_language_file(tag: str):
    shown = task("math").present(CONVERSATION, language(tag), "mcot")[3]["content"]
    assert shown == f"Question:\nHow many?\nAnswer:\n{language(tag).step_by_step}\n"


PUBLISHED_BY_MCOT = {
    "bn": "আসুন ধাপে ধাপে চিন্তা করি।",
    "de": "Denken wir Schritt für Schritt.",
    "en": "Let's think step by step.",
    "es": "Pensemos paso a paso.",
    "fr": "Réfléchissons étape par étape.",
    "ja": "段階的に考えてみましょう。",
    "ru": "Давайте думать поэтапно.",
    "sw": "Hebu fikiria hatua kwa hatua.",
    "te": "అంచెలంచెలుగా ఆలోచిద్దాం.",
    "th": "ลองคิดทีละขั้นตอน",
    "zh": "让我们一步步思考。",
}


@pytest.mark.parametrize("tag", list(PUBLISHED_BY_MCOT))
def test_the_phrases_of_mcot_are_the_published_ones(tag: str):
    """data/prompt.txt of the repository laihuiyuan/mCoT."""
    assert language(tag).step_by_step == PUBLISHED_BY_MCOT[tag]


def test_a_conversation_without_a_question_is_refused():
    with pytest.raises(EvaluationError, match="no user message"):
        task("math").present([{"role": "system", "content": "S"}], language("en"), "bare")
