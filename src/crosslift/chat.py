"""Chat templates: token ids and loss masks of conversations.

Training and evaluation must use identical prompt tokens. A model trained on `...assistant\n` and evaluated with
`...assistant` performs badly, without any error message. Both sides therefore build the prompt with `encode_prompt`,
and training appends the tokens of the completion. Prompt and completion are tokenized separately, so that no BPE merge
across their boundary creates a prompt that evaluation never uses.

Loss masks found by searching for marker tokens in the rendered text break with every new template. Here the template is
rendered twice, without and with the completion, and the difference is the completion. It ends with the last special
token that the template writes (`<|im_end|>`, `<end_of_turn>`, `<|END_RESPONSE|><|END_OF_TURN_TOKEN|>`): generation
stops there, so a newline after it is never generated and carries no loss. If the template writes no special token, the
tokenizer's end-of-text token is appended.

Two features of templates would make a study irreproducible and are disabled: thinking (`enable_thinking`, Qwen3) and
the current date (`strftime_now`, Llama 3.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from crosslift.errors import CrossliftError, ModelError, TemplateError, visible
from crosslift.extras import optional
from crosslift.untrusted.limits import OutOfTime, memory_limit, time_limit
from crosslift.untrusted.model_files import check_settings, reading, refuse_custom_code

Message = Mapping[str, str]

PLAIN_TEMPLATE = (
    "{% for message in messages %}{{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}"
    "{% elif message['content'][-1:] not in (' ', '\\n') %}{{ '\\n' }}{% endif %}"
    "{% endfor %}"
)
"""The template named "plain": the contents of the messages, each followed by a newline unless it ends with a space or
newline; the completion is followed by the end-of-text token. It is saved in the checkpoint like any other template."""

_FIXED_DATE = (
    "{% macro strftime_now(format) %}"
    "{{ {'%d %b %Y': '26 Jul 2024', '%d %B %Y': '26 July 2024'}.get(format, '2024-07-26') }}"
    "{% endmacro %}"
)
"""Overrides the current date with the default date of Llama 3.1's template."""


_SAMPLES = ("a", "1", "我")
"""Texts of which any vocabulary knows one."""
_PROBE: tuple[Message, ...] = (
    {"role": "user", "content": "Question"},
    {"role": "assistant", "content": "Answer"},
)
_PROBE_BYTES = 2**30
"""Memory that a template may take for the first conversation."""
_RENDER_SECONDS, _CONVERSATION_SECONDS = 10.0, 0.05
"""A template may take so long, and so long for each conversation. Usual are 0.0001 seconds."""


@dataclass(frozen=True, kw_only=True)
class EncodedExample:
    """Token ids of one training example. The loss mask covers exactly the completion, end-of-turn token included."""

    prompt: list[int]
    completion: list[int]


@dataclass(frozen=True, kw_only=True)
class EncodedExamples:
    """Token ids of many training examples in flat arrays.

    Example i is ids[offsets[i]:offsets[i + 1]]; its first prompt_lengths[i] ids are the prompt.
    """

    ids: np.ndarray
    """int32, (num_tokens,)."""
    offsets: np.ndarray
    """Start of each example in `ids`, int64, (num_examples + 1,)."""
    prompt_lengths: np.ndarray
    """Tokens of each prompt, int32, (num_examples,)."""
    completion_bytes: np.ndarray
    """UTF-8 bytes of each completion's text without special tokens, int32, (num_examples,)."""


def load_tokenizer(path: str | Path, revision: str | None = None, template: str | None = None) -> Any:
    """Load the tokenizer of a model or checkpoint and set its chat template.

    Args:
        path: local folder or hub name.
        revision: revision of a hub model.
        template: None for the tokenizer's own chat template, "plain" for text without role markers, else the path of a
            Jinja file.

    Raises:
        ModelError: the files of the tokenizer are damaged, or the model needs custom code.
        TemplateError: the tokenizer has no chat template and none is given, the file is missing, the template cannot
            render a conversation, or the tokenizer has no end-of-text token, which "plain" needs.
    """
    with optional():
        from transformers import AutoTokenizer

    if Path(path).is_dir():
        try:
            check_settings(Path(path))
            refuse_custom_code(Path(path))
        except ModelError as error:
            raise ModelError(f"{path}: {error}") from error
    with reading(f"the tokenizer of {path}"):
        tokenizer = AutoTokenizer.from_pretrained(str(path), revision=revision, trust_remote_code=False)
        knows = any(tokenizer(text, add_special_tokens=False)["input_ids"] for text in _SAMPLES)
    if not knows:
        raise ModelError(f"the tokenizer of {path} has no vocabulary. Download or save the model again.")
    if template == "plain":
        if tokenizer.eos_token is None:
            raise TemplateError(
                f"{path}: the template 'plain' ends an answer with the end-of-text token, and this tokenizer has "
                "none. Give a Jinja file as template."
            )
        first = tokenizer("a")["input_ids"][:1]
        adds_bos = tokenizer.bos_token_id is not None and first == [tokenizer.bos_token_id]
        tokenizer.chat_template = ("{{ bos_token }}" if adds_bos else "") + PLAIN_TEMPLATE
    elif template is not None:
        file = Path(template)
        if not file.is_file():
            raise TemplateError(f"{template} is no file. A template is 'plain' or the path of a Jinja file.")
        try:
            tokenizer.chat_template = file.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise TemplateError(f"{template} is not UTF-8. Save the file as UTF-8.") from error
    # The fixed date is saved with the checkpoint, so that other programs use the same prompt as training did.
    with reading(f"the chat template of {path}", TemplateError):
        tokenizer.chat_template = _template(tokenizer)
    with memory_limit(_PROBE_BYTES):
        _render(tokenizer, [_PROBE[:1]], add_generation_prompt=True)
        _render(tokenizer, [_PROBE], add_generation_prompt=False)
    return tokenizer


def render_prompt(tokenizer: Any, messages: Sequence[Message]) -> str:
    """The text that `encode_prompt` tokenizes, for display."""
    return _render(tokenizer, [messages], add_generation_prompt=True)[0]


def encode_prompt(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """Token ids of a conversation up to the start of the assistant's next message."""
    return encode_prompts(tokenizer, [messages])[0]


def encode_prompts(tokenizer: Any, conversations: Sequence[Sequence[Message]]) -> list[list[int]]:
    """`encode_prompt` for many conversations, in one call of the tokenizer."""
    return _tokenize(tokenizer, _render(tokenizer, conversations, add_generation_prompt=True))


def encode_example(tokenizer: Any, messages: Sequence[Message]) -> EncodedExample:
    """Token ids of a conversation that ends with the assistant's message.

    Raises:
        TemplateError: the rendered conversation does not begin with the rendered prompt, or the completion is empty.
    """
    prompts, completions = _encode_both(tokenizer, [messages])
    return EncodedExample(prompt=prompts[0], completion=completions[0])


def encode_examples(tokenizer: Any, conversations: Sequence[Sequence[Message]]) -> EncodedExamples:
    """`encode_example` for many conversations (about 10,000 per second and core).

    Raises:
        TemplateError: as `encode_example`; the message gives the index of the first invalid conversation.
    """
    prompts, completions = _encode_both(tokenizer, conversations)
    prompt_lengths = np.fromiter(map(len, prompts), np.int32, len(prompts))
    lengths = prompt_lengths + np.fromiter(map(len, completions), np.int32, len(completions))
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    pairs = chain.from_iterable(zip(prompts, completions, strict=True))
    return EncodedExamples(
        ids=np.fromiter(chain.from_iterable(pairs), np.int32, int(offsets[-1])),
        offsets=offsets,
        prompt_lengths=prompt_lengths,
        completion_bytes=np.array([len(_answer(messages).encode()) for messages in conversations], np.int32),
    )


def stop_ids(tokenizer: Any) -> tuple[int, ...]:
    """Token ids that end the assistant's turn: the template's end-of-turn token and the end-of-text token."""
    example = encode_example(tokenizer, _PROBE)
    ends = [example.completion[-1]]
    if tokenizer.eos_token_id is not None and tokenizer.eos_token_id not in ends:
        ends.append(tokenizer.eos_token_id)
    return tuple(ends)


def _encode_both(tokenizer: Any, conversations: Sequence[Sequence[Message]]) -> tuple[list[list[int]], list[list[int]]]:
    for number, messages in enumerate(conversations):
        if not messages or messages[-1]["role"] != "assistant" or not _answer(messages):
            raise TemplateError(
                f"conversation {number} does not end with an answer of the assistant, so it has no completion to train "
                "on. Its last message needs the role 'assistant' and a text."
            )
    prompts = _render(tokenizer, [messages[:-1] for messages in conversations], add_generation_prompt=True)
    wholes = _render(tokenizer, conversations, add_generation_prompt=False)
    special = _special_tokens(tokenizer)
    completions = [
        _completion(prompt, whole, number=number, special=special, end_of_text=tokenizer.eos_token)
        for number, (prompt, whole) in enumerate(zip(prompts, wholes, strict=True))
    ]
    return _tokenize(tokenizer, prompts), _tokenize(tokenizer, completions)


def _completion(prompt: str, whole: str, *, number: int, special: re.Pattern[str], end_of_text: str | None) -> str:
    """The text that the template writes after the prompt, up to its last special token."""
    if not whole.startswith(prompt):
        at = next((i for i, pair in enumerate(zip(prompt, whole, strict=False)) if pair[0] != pair[1]), len(whole))
        raise TemplateError(
            f"the chat template does not continue its own prompt (conversation {number}): without the answer it "
            f"renders {prompt[at:][:60]!r}, with the answer {whole[at:][:60]!r} at the same position. Give the "
            "model a template (a Jinja file, or 'plain') whose text with the answer begins with its text without it."
        )
    completion = whole[len(prompt) :]
    end = 0
    for match in special.finditer(completion):
        end = match.end()
    if end and not completion[end:].strip():
        return completion[:end]
    if end_of_text is None:
        raise TemplateError(
            "the chat template ends an answer without a special token, and the tokenizer has no end-of-text token, so "
            "a model trained with it would never stop. Give a template that ends the assistant's turn."
        )
    return completion.rstrip() + end_of_text


def _answer(messages: Sequence[Message]) -> str:
    return messages[-1]["content"].strip()


def _render(tokenizer: Any, conversations: Sequence[Sequence[Message]], *, add_generation_prompt: bool) -> list[str]:
    if not conversations:
        return []
    plain = [[{"role": m["role"], "content": m["content"]} for m in messages] for messages in conversations]
    with _rendering(tokenizer, len(plain)):
        rendered: list[str] = tokenizer.apply_chat_template(
            plain,
            chat_template=_template(tokenizer),
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
            enable_thinking=False,
        )
    return rendered


@contextmanager
def _rendering(tokenizer: Any, num_conversations: int) -> Iterator[None]:
    """The guard around a template, which is a program that came with the model: one message, whatever it does."""
    from jinja2.exceptions import SecurityError, TemplateSyntaxError

    place = f"the chat template of {tokenizer.name_or_path or 'this model'}"
    remedy = 'Give the model another (template = a Jinja file, or "plain").'
    seconds = _RENDER_SECONDS + _CONVERSATION_SECONDS * num_conversations
    try:
        with time_limit(seconds):
            yield
    except CrossliftError:
        raise
    except OutOfTime as error:
        raise TemplateError(f"{place} did not come to an end within {seconds:.0f} seconds. {remedy}") from error
    except SecurityError as error:
        said = visible(str(error), 200)
        raise TemplateError(
            f"{place} tried to reach what templates may not touch, and was stopped: {said.rstrip('.')}. Do not use "
            "this model before somebody has read its template."
        ) from error
    except TemplateSyntaxError as error:
        raise TemplateError(
            f"{place}, line {error.lineno}: {visible(str(error.message), 200).rstrip('.')}. Correct it. {remedy}"
        ) from error
    except MemoryError as error:
        raise TemplateError(f"{place} took more memory than a prompt can need. {remedy}") from error
    except Exception as error:
        said = f"{type(error).__name__}: {visible(str(error), 200)}".rstrip(": .")
        raise TemplateError(f"{place} cannot write this conversation ({said}). {remedy}") from error


def _template(tokenizer: Any) -> str:
    """The current chat template, with a fixed date."""
    if not tokenizer.chat_template:
        raise TemplateError(
            f"the tokenizer of {tokenizer.name_or_path or 'this model'} has no chat template, as base models often do. "
            'Set template = "plain" for the model in study.toml, or give the path of a Jinja file.'
        )
    template: str = tokenizer.get_chat_template()
    if "strftime_now" in template and not template.startswith(_FIXED_DATE):
        return _FIXED_DATE + template
    return template


def _tokenize(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Tokenize without adding special tokens, because the template has written them."""
    if not texts:
        return []
    ids: list[list[int]] = tokenizer(
        list(texts), add_special_tokens=False, return_attention_mask=False, return_token_type_ids=False, verbose=False
    )["input_ids"]
    return ids


def _special_tokens(tokenizer: Any) -> re.Pattern[str]:
    """Matches all special tokens: named ones, and added ones marked special (Llama 3's `<|eot_id|>` is not named)."""
    tokens = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    return re.compile("|".join(map(re.escape, sorted(tokens | set(tokenizer.all_special_tokens)))) or "(?!)")
