"""What a task asks of a generator: an answer to a conversation, or the likelihood of texts that are given.

A task returns one of the three types; `scoring.predict` and the generators treat each type in its own way. A context
that is a text is tokenised as it stands, with the tokenizer's own special tokens (the form of lm-evaluation-harness); a
context that is a conversation is rendered by the model's chat template, which writes its special tokens itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Message = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Generation:
    """Ask for the assistant's next message."""

    messages: Sequence[Message]


@dataclass(frozen=True, kw_only=True)
class Continuations:
    """Ask for the log-probability of each of several continuations of one context."""

    context: str | Sequence[Message]
    """A text, or a conversation for the model's chat template."""
    delimiter: str
    """Written between the context and each continuation; it is part of what is scored, but not of its length."""
    choices: tuple[str, ...]
    """The continuations without the delimiter."""


@dataclass(frozen=True, kw_only=True)
class Text:
    """Ask for the log-probability of a whole text without context."""

    text: str


Request = Generation | Continuations | Text


@dataclass(frozen=True, kw_only=True)
class Example:
    """A worked example that is shown before a question."""

    messages: Sequence[Message]
    """Its last message is the assistant's answer, if the corpus has one."""
    answer: str
    """The gold answer in the format of the task."""


@dataclass(frozen=True, kw_only=True)
class TokenContinuations:
    """A context and its continuations in token ids, as generators receive them."""

    context: tuple[int, ...]
    """At least one id."""
    continuations: tuple[tuple[int, ...], ...]
    """Each has at least one id."""


@dataclass(frozen=True, kw_only=True)
class Likelihood:
    """Log-probability of one continuation."""

    log_probability: float
    """Natural logarithm, summed over the tokens."""
    is_greedy: bool
    """Whether every token is the most probable one, so that greedy decoding would have written the continuation."""
