"""Exactly the completion carries loss, and training and evaluation build the same prompt, whatever the template."""

from __future__ import annotations

import importlib.util
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import template_families
from template_families import FAMILIES
from transformers import PreTrainedTokenizerFast

from crosslift.chat import (
    encode_example,
    encode_examples,
    encode_prompt,
    encode_prompts,
    load_tokenizer,
    render_prompt,
    stop_ids,
)
from crosslift.errors import TemplateError
from crosslift.training.packing import build_micro_batch
from crosslift.training.trainer import TokenTable

TRL = importlib.util.find_spec("trl")


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


CONVERSATIONS = {
    "one turn": [user("How many apples?"), assistant("The answer is 7.")],
    "system": [{"role": "system", "content": "Be brief."}, user("How many apples?"), assistant("7")],
    "dialogue": [user("Anna has 3."), assistant("I see."), user("How many now?"), assistant("7 apples")],
    "Japanese": [user("アンナは今りんごを何個持っていますか？"), assistant("答えは7です。")],
    "Bengali": [user("আনার কাছে এখন কতটি আপেল আছে?"), assistant("উত্তর হলো ৭।")],
    "lines": [user("Question:\nHow many?\nAnswer:\n"), assistant("3 + 4 = 7\n\nThe answer is 7.\n")],
    "digit after space": [user("How many? "), assistant(" 7")],
}


@pytest.fixture
def family_tokenizer():
    def of(name):
        tokenizer = template_families.tokenizer(name)
        tokenizer.chat_template = template_families.template(name)
        return tokenizer

    return of


@pytest.fixture(params=[(family, source) for family in FAMILIES for source in ("layout", "published")], ids="-".join)
def family(request, family_tokenizer):
    name, source = request.param
    tokenizer = family_tokenizer(name)
    if source == "published":
        if TRL is None or TRL.origin is None:
            pytest.skip("TRL, which ships the published templates, is not installed")
        file = Path(TRL.origin).parent / "chat_templates" / f"{FAMILIES[name].published}.jinja"
        tokenizer.chat_template = file.read_text(encoding="utf-8")
    return FAMILIES[name], tokenizer


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_completion_is_the_answer_and_its_end_of_turn(family, name):
    about, tokenizer = family
    messages = CONVERSATIONS[name]
    answer = messages[-1]["content"]
    example = encode_example(tokenizer, messages)
    assert tokenizer.decode(example.completion) == (answer.strip() if about.trims else answer) + about.end


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_training_and_evaluation_build_the_same_prompt_tokens(family, name):
    _, tokenizer = family
    messages = CONVERSATIONS[name]
    prompt = encode_prompt(tokenizer, messages[:-1])
    assert encode_example(tokenizer, messages).prompt == prompt
    assert encode_prompts(tokenizer, [messages[:-1]] * 2) == [prompt, prompt]
    assert prompt == tokenizer(render_prompt(tokenizer, messages[:-1]), add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_prompt_and_completion_together_are_the_tokens_of_the_whole_text(family, name):
    about, tokenizer = family
    messages = CONVERSATIONS[name]
    whole = tokenizer.apply_chat_template(messages, tokenize=False, enable_thinking=False, date_string="26 Jul 2024")
    whole = whole[: whole.rindex(about.end) + len(about.end)]
    example = encode_example(tokenizer, messages)
    assert tokenizer.decode(example.prompt + example.completion) == whole
    if name != "digit after space":  # there, and only there, a merge would reach across the border
        assert example.prompt + example.completion == tokenizer(whole, add_special_tokens=False)["input_ids"]


def test_prompt_has_one_begin_of_text(family):
    _, tokenizer = family
    prompt = encode_prompt(tokenizer, CONVERSATIONS["one turn"][:-1])
    if tokenizer.bos_token_id is not None:
        assert prompt.count(tokenizer.bos_token_id) == 1
        assert prompt[0] == tokenizer.bos_token_id


def test_exactly_the_completion_tokens_carry_loss(family):
    """From the conversation to the places in the forward pass whose output the loss is taken of."""
    _, tokenizer = family
    conversations = list(CONVERSATIONS.values())
    table = _table(tokenizer, conversations)
    for packed in (True, False):
        one = build_micro_batch(table, np.arange(len(table)), packed=packed)
        num_losses = len(one.cells)
        predicted = one.ids.ravel()[one.predicting_positions[:num_losses] + 1]
        completions = [encode_example(tokenizer, messages).completion for messages in conversations]
        assert one.targets[:num_losses].tolist() == predicted.tolist() == list(chain(*completions))
        # The first token of each completion is predicted from the last token of its prompt.
        first = one.predicting_positions[np.cumsum([0, *map(len, completions)])[:-1]]
        last_of_prompt = [encode_prompt(tokenizer, messages[:-1])[-1] for messages in conversations]
        assert one.ids.ravel()[first].tolist() == last_of_prompt


def test_many_examples_at_once_are_the_examples_one_by_one(family):
    _, tokenizer = family
    table = encode_examples(tokenizer, list(CONVERSATIONS.values()))
    for i, messages in enumerate(CONVERSATIONS.values()):
        example = encode_example(tokenizer, messages)
        ids = table.ids[table.offsets[i] : table.offsets[i + 1]].tolist()
        assert (ids, table.prompt_lengths[i]) == (example.prompt + example.completion, len(example.prompt))
        assert table.completion_bytes[i] == len(messages[-1]["content"].strip().encode())


def test_generation_stops_where_training_stopped(family):
    about, tokenizer = family
    ends = stop_ids(tokenizer)
    assert encode_example(tokenizer, CONVERSATIONS["one turn"]).completion[-1] == ends[0]
    assert tokenizer.eos_token_id in ends
    assert about.end.endswith(tokenizer.decode([ends[0]]))


def test_the_prompt_of_tomorrow_is_the_prompt_of_today(family_tokenizer):
    text = render_prompt(family_tokenizer("llama3"), CONVERSATIONS["one turn"][:-1])
    assert "Today Date: 26 Jul 2024" in text


def test_saved_template_keeps_the_clock_stopped(family_tokenizer, tmp_path):
    family_tokenizer("llama3").save_pretrained(tmp_path / "base")
    load_tokenizer(tmp_path / "base").save_pretrained(tmp_path / "checkpoint")
    elsewhere = PreTrainedTokenizerFast.from_pretrained(tmp_path / "checkpoint")
    text = elsewhere.apply_chat_template(CONVERSATIONS["one turn"][:-1], tokenize=False, add_generation_prompt=True)
    assert text == render_prompt(elsewhere, CONVERSATIONS["one turn"][:-1])


def test_thinking_is_closed_in_the_prompt_and_so_carries_no_loss(family_tokenizer):
    text = render_prompt(family_tokenizer("qwen3"), CONVERSATIONS["one turn"][:-1])
    assert text.endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")


def test_plain_template_joins_contents_and_ends_with_end_of_text(family_tokenizer, tmp_path):
    family_tokenizer("gemma3").save_pretrained(tmp_path)
    tokenizer = load_tokenizer(tmp_path, template="plain")
    example = encode_example(tokenizer, CONVERSATIONS["system"])
    assert tokenizer.decode(example.prompt) == "Be brief.\nHow many apples?\n"
    assert tokenizer.decode(example.completion) == "7<eos>"
    assert stop_ids(tokenizer) == (tokenizer.eos_token_id,)


def test_plain_template_leaves_a_published_prompt_as_it_is(family_tokenizer, tmp_path):
    family_tokenizer("qwen3").save_pretrained(tmp_path)
    tokenizer = load_tokenizer(tmp_path, template="plain")
    assert render_prompt(tokenizer, CONVERSATIONS["lines"][:-1]) == "Question:\nHow many?\nAnswer:\n"


def test_plain_template_begins_as_the_tokenizer_does(family_tokenizer, tmp_path):
    tokenizer = family_tokenizer("llama3")
    tokenizer.save_pretrained(tmp_path)
    assert encode_prompt(load_tokenizer(tmp_path, template="plain"), [user("a")])[0] != tokenizer.bos_token_id
    from tokenizers import processors

    begins = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    begins.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", begins.bos_token_id)]
    )
    begins.save_pretrained(tmp_path)
    prompt = encode_prompt(load_tokenizer(tmp_path, template="plain"), [user("a")])
    assert prompt.count(begins.bos_token_id) == 1


def test_a_template_from_a_file(family_tokenizer, tmp_path):
    tokenizer = family_tokenizer("qwen3")
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / "own.jinja").write_text("{% for m in messages %}[{{ m.content }}]{% endfor %}")
    own = load_tokenizer(tmp_path, template=str(tmp_path / "own.jinja"))
    example = encode_example(own, [user("a"), assistant("b")])
    assert own.decode(example.completion) == "[b]<|im_end|>"  # no control token at its end: end of text is added


def test_no_template_is_an_error_that_says_what_to_do(family_tokenizer, tmp_path):
    tokenizer = family_tokenizer("qwen3")
    tokenizer.chat_template = None
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(TemplateError, match='template = "plain"'):
        load_tokenizer(tmp_path)
    with pytest.raises(TemplateError, match="is no file"):
        load_tokenizer(tmp_path, template="plian")


def test_template_that_does_not_continue_its_own_prompt_is_refused(family_tokenizer):
    tokenizer = family_tokenizer("qwen3")
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m.content }}<|im_end|>{% endfor %}{% if add_generation_prompt %}<think>{% endif %}"
    )
    with pytest.raises(TemplateError, match="does not continue its own prompt"):
        encode_example(tokenizer, CONVERSATIONS["one turn"])


@pytest.mark.parametrize("messages", [[user("a")], [user("a"), assistant(" ")], []])
def test_conversation_without_an_answer_is_refused(family_tokenizer, messages):
    with pytest.raises(TemplateError, match="conversation 1 does not end with an answer"):
        encode_examples(family_tokenizer("qwen3"), [CONVERSATIONS["one turn"], messages])


def _table(tokenizer, conversations):
    encoded = encode_examples(tokenizer, conversations)
    zeros = np.zeros(len(conversations), np.int16)
    return TokenTable(
        ids=encoded.ids,
        offsets=encoded.offsets,
        prompt_lengths=encoded.prompt_lengths,
        completion_bytes=encoded.completion_bytes,
        languages=("en",),
        language=zeros,
        tasks=("math",),
        task=zeros,
    )
