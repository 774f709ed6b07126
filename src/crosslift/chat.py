"""A conversation becomes token ids and a loss mask, in one place.

Training and evaluation must agree to the token on what a prompt is: a model trained on `...assistant\n` and asked with
`...assistant` answers badly, and no error says so. Both sides therefore build the prompt by `encode_prompt`, and
training appends the completion's own tokens. Masks made by searching for marker tokens in the rendered text break with
every new template; here the template is asked twice (with and without the answer) and the difference is the completion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Message = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """prompt + completion; exactly the completion carries loss, its end-of-turn token included."""

    prompt: list[int]
    completion: list[int]


def encode_prompt(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """Token ids of a conversation that waits for the assistant's next message."""
    raise NotImplementedError


def encode_example(tokenizer: Any, messages: Sequence[Message]) -> Encoded:
    """Token ids of a conversation that ends with the assistant's message.

    Raises:
        TemplateError: the rendered conversation does not begin with the rendered prompt, or the completion is empty.
    """
    raise NotImplementedError


def stop_ids(tokenizer: Any) -> tuple[int, ...]:
    """Token ids that end the assistant's turn: the template's end-of-turn token and the end-of-text token."""
    raise NotImplementedError
