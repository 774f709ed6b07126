"""What a task is.

A task is a module in `tasks/` named after its file, with

    METRICS: tuple[str, ...]        the first is the primary one
    PROMPTS: tuple[str, ...]        published prompt forms; the first is the default
    MAX_TOKENS: int                 default limit of generated tokens
    present(messages, language, prompt) -> messages     the prompt as the model sees it; `prompt` names a published form
    score(text, answer, language) -> Outcome            one completed answer against its gold

Training and evaluation both show the model what `present` returns: it rewrites the last user message and passes all
others through, the assistant's answer at the end included where there is one. `score` sees only answers that ended by
themselves; truncation, required languages and program errors are handled once, in `evaluate`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from crosslift.discover import member
from crosslift.errors import EvaluationError, did_you_mean
from crosslift.languages.language import Language
from crosslift.scores import Status

Message = Mapping[str, str]

LANGUAGE_METRIC = "in_language"
"""The one metric about form: is the answer in the language of the question? It is measured on every answer, also on
unparsed and truncated ones, so that language fidelity does not shrink with the share of wrong formats."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Values in [0, 1] per metric; all but `in_language` are 0 unless the status is "scored" (a call may be scored with
    some parts wrong)."""

    values: dict[str, float]
    status: Status
    parsed: str | None = None
    """What was understood, for people who look into failures."""


class Task(Protocol):
    """The module of a task."""

    @property
    def METRICS(self) -> tuple[str, ...]: ...  # noqa: N802 - a module's constant
    @property
    def PROMPTS(self) -> tuple[str, ...]: ...  # noqa: N802
    @property
    def MAX_TOKENS(self) -> int: ...  # noqa: N802

    def present(self, messages: Sequence[Message], language: Language, prompt: str) -> list[dict[str, str]]: ...

    def score(self, text: str, answer: str, language: Language) -> Outcome: ...


def task(name: str) -> Task:
    """The module of a task by its name.

    Raises:
        UnknownName: no such task.
    """
    return cast(Task, member("task", name))


def rewrite_question(messages: Sequence[Message], question: str) -> list[dict[str, str]]:
    """The messages with the content of the last user message replaced; the others as they are."""
    place = last_question(messages)
    return [
        {"role": message["role"], "content": question if index == place else message["content"]}
        for index, message in enumerate(messages)
    ]


def as_written(messages: Sequence[Message], prompt: str) -> list[dict[str, str]]:
    """What the one form "bare" shows: the conversation as the corpus holds it.

    Raises:
        EvaluationError: another form was asked for, or there is no question.
    """
    check_prompt(prompt, ("bare",))
    return rewrite_question(messages, messages[last_question(messages)]["content"])


def last_question(messages: Sequence[Message]) -> int:
    """Index of the last user message.

    Raises:
        EvaluationError: the conversation holds none.
    """
    places = [index for index, message in enumerate(messages) if message["role"] == "user"]
    if not places:
        raise EvaluationError("A conversation without a user message cannot be presented. Check the corpus.")
    return places[-1]


def check_prompt(prompt: str, known: tuple[str, ...]) -> None:
    """Raise EvaluationError unless the task has a prompt form of that name."""
    if prompt not in known:
        raise EvaluationError(
            f"'{prompt}' is not a prompt form of this task.{did_you_mean(prompt, known)} Known: {', '.join(known)}."
        )


__all__ = [
    "LANGUAGE_METRIC",
    "Language",
    "Message",
    "Outcome",
    "Task",
    "as_written",
    "check_prompt",
    "last_question",
    "rewrite_question",
    "task",
]
