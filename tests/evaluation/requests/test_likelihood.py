"""Token ids of contexts and continuations, and the table of their log-probabilities, with a generator of made-up
numbers."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import polars as pl
import pytest
from dice import Dice

from crosslift.corpora.corpus import ROWS
from crosslift.errors import EvaluationError
from crosslift.evaluation.requests.kinds import Continuations
from crosslift.evaluation.requests.likelihood import encode, require_likelihoods, windows
from crosslift.evaluation.scoring import predict, score
from crosslift.evaluation.task import task
from crosslift.evaluation.tasks.multiple_choice import Choices
from crosslift.evaluation.unscored import reason, remedy
from crosslift.languages.language import language
from crosslift.scores import LIKELIHOODS, SCORES

_spec = importlib.util.spec_from_file_location("models", Path(__file__).parents[1] / "conftest.py")
assert _spec is not None and _spec.loader is not None
_models = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_models)

END = 256
CHOICES = ("a lion", "a mouse", "two mice")


@pytest.fixture(scope="module")
def tokenizer():
    return _models.byte_tokenizer()


def items(num: int = 3, **changes) -> pl.DataFrame:
    rows = [
        {
            "item_id": f"i{i}",
            "language": "en",
            "messages": [{"role": "user", "content": f"Story {i}."}, {"role": "assistant", "content": CHOICES[i % 3]}],
            "answer": Choices(choices=CHOICES, gold=i % 3, **changes).write(),
            "cluster": f"c{i}",
            "origin": "human",
        }
        for i in range(num)
    ]
    return pl.DataFrame(rows, schema=ROWS)


def test_white_space_at_the_end_of_a_context_belongs_to_the_continuation(tokenizer):
    request = Continuations(context="Who? \n", delimiter=" ", choices=("Tom",))
    (found,) = encode(tokenizer, [request])
    assert tokenizer.decode(found.context) == "Who?"
    assert tokenizer.decode(found.continuations[0]) == " \n Tom"


def test_an_empty_context_is_the_end_of_text_token_of_a_tokenizer_without_another(tokenizer):
    (found,) = encode(tokenizer, [Continuations(context="", delimiter="", choices=("Tom", "Anna"))])
    assert found.context == (END,)
    assert [tokenizer.decode(one) for one in found.continuations] == ["Tom", "Anna"]


def test_a_conversation_is_the_prompt_of_training(tokenizer):
    messages = [{"role": "user", "content": "Who?"}]
    (found,) = encode(tokenizer, [Continuations(context=messages, delimiter="", choices=("Tom",))])
    assert tokenizer.decode(found.context) == "<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer.decode(found.continuations[0]) == "Tom"


@pytest.mark.parametrize("length", [1, 7, 8, 9, 16, 23, 40])
def test_windows_predict_every_token_once_with_as_much_context_as_fits(length):
    tokens = list(range(100, 100 + length))
    found = windows(tokens, prefix=1, max_length=8)
    assert [t for one in found for t in one.continuations[0]] == tokens
    assert found[0].context == (1,)
    whole = [1, *tokens]
    end = 1
    for one in found:
        end += len(one.continuations[0])
        assert len(one.context) + len(one.continuations[0]) - 1 <= 8
        assert whole[:end][-len(one.context) - len(one.continuations[0]) :] == [*one.context, *one.continuations[0]]
    assert all(len(one.context) + len(one.continuations[0]) == 9 for one in found[1:])


def test_predictions_keep_what_every_normalisation_needs(tokenizer):
    dice = Dice(tokenizer)
    table = predict(dice, task("multiple_choice"), items(), prompt="full")
    assert table.schema == LIKELIHOODS
    first = table["continuations"][0].to_list()
    assert [one["text"] for one in first] == list(CHOICES)
    assert [one["num_bytes"] for one in first] == [6, 7, 8]
    assert [one["num_tokens"] for one in first] == [7, 8, 9], "the space before a choice is scored"
    assert all(one["unconditional"] is not None for one in first)
    assert table["prompt"][0] == "Story 0."
    assert len(dice.asked[-1].continuations) == len(CHOICES), "a choice without its context is asked once"
    scores = score(task("multiple_choice"), table, run="r", evaluation="e", task_name="multiple_choice")
    assert scores.schema == SCORES
    assert scores["metric"].unique(maintain_order=True).to_list() == list(task("multiple_choice").METRICS)


def test_a_choice_longer_than_the_context_is_truncated_and_wrong(tokenizer):
    table = predict(Dice(tokenizer, max_length=8), task("multiple_choice"), items(), prompt="full")
    assert table["finish"].to_list() == ["length"] * 3
    scores = score(task("multiple_choice"), table, run="r", evaluation="e", task_name="multiple_choice")
    assert set(scores["status"]) == {"truncated"} and scores["value"].sum() == 0


def test_texts_are_scored_in_windows_by_their_bytes(tokenizer):
    table = predict(Dice(tokenizer, max_length=6), task("perplexity"), items(), prompt="bare")
    text = "Story 0.\na lion"
    (kept,) = table["continuations"][0].to_list()
    assert (kept["num_bytes"], kept["num_tokens"]) == (len(text), len(text))
    scores = score(task("perplexity"), table, run="r", evaluation="e", task_name="perplexity")
    values = dict(scores.filter(item_id="i0").select("metric", "value").iter_rows())
    assert values["byte_probability"] == pytest.approx(2 ** -values["bits_per_byte"])
    assert values["bits_per_byte"] == pytest.approx(-kept["log_probability"] / 0.6931471805599453 / len(text))


def test_a_generator_without_likelihoods_is_refused_with_a_remedy(tokenizer):
    class Writer:
        pass

    with pytest.raises(EvaluationError, match='generator = "hf"'):
        require_likelihoods(Writer())


def test_a_text_alone_cannot_be_scored_by_a_task_that_asks_for_likelihoods():
    import crosslift

    with pytest.raises(EvaluationError, match="asks a model for likelihoods"):
        crosslift.score("multiple_choice", "Tom", Choices(choices=CHOICES, gold=0).write(), "en")


def test_a_choice_that_does_not_fit_is_explained_by_the_context_and_not_by_max_tokens():
    why = reason(task("multiple_choice"), status="truncated", finish="length", text="", language=language("en"))
    assert why == "longer than the model's context"
    assert "max_tokens" not in remedy(why)
