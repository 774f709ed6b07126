"""Interface of a task.

A task is a module in `tasks/` named after its file, with

    METRICS: tuple[str, ...]        names of its metrics; the first is the primary one
    PROMPTS: tuple[str, ...]        names of published prompt formats; the first is the default
    MAX_TOKENS: int                 default limit of generated tokens
    present(messages, language, prompt) -> messages     the conversation in the prompt format named `prompt`
    score(text, answer, language) -> Outcome            compares one completion with its gold answer

and, where it helps to explain failures, `unparsed_reason(text, language)` (see `unscored`).

A task that asks for likelihoods has instead of `score`

    request(messages, answer, language, prompt, shots, chat) -> Request    what is asked of the generator
    score_row(row, language) -> Outcome                                    scores a row of `scores.LIKELIHOODS`

A task that is asked and scored by another program (lm_eval) has `predict` instead of `request`, see `scoring.predict`.

Training and evaluation both use the messages that `present` returns. It rewrites the last user message and returns all
others unchanged, including a final message of the assistant. `score` receives only completions that ended with a stop
token; truncation, required languages and program errors are handled for all tasks in `scoring`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from crosslift.discover import member
from crosslift.errors import EvaluationError, did_you_mean
from crosslift.evaluation.requests.kinds import Example, Message, Request
from crosslift.languages.language import Language
from crosslift.scores import Status

LANGUAGE_METRIC = "in_language"
"""Metric of language fidelity: 1 if the answer is in the language of the question. It is measured on every answer,
unparsed and truncated ones included, so that it does not fall with the share of format errors."""


LINE_METRIC, RESPONSE_METRIC = "line_pass_rate", "response_pass_rate"
"""Metrics of language confusion (K. Marchisio et al. 2024, arXiv 2406.20052): the share of an answer's lines that are
in the language of the question, and 1 if all of them are. The whole answer is in the language if most of it is; these
two notice a single line in another language."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Result of scoring one completion."""

    values: dict[str, float]
    """Metric -> value within its `scores.scale`. All but `in_language` are 0 unless the status is "scored"."""
    status: Status
    parsed: str | None = None
    """The parsed answer, for the analysis of failures."""


class Task(Protocol):
    """Protocol that the module of a task implements; see the module docstring."""

    @property
    def METRICS(self) -> tuple[str, ...]: ...  # noqa: N802 - a module's constant
    @property
    def PROMPTS(self) -> tuple[str, ...]: ...  # noqa: N802
    @property
    def MAX_TOKENS(self) -> int: ...  # noqa: N802

    def present(self, messages: Sequence[Message], language: Language, prompt: str) -> list[dict[str, str]]: ...

    def score(self, text: str, answer: str, language: Language) -> Outcome: ...


class LikelihoodTask(Protocol):
    """Protocol of a task that asks for likelihoods."""

    @property
    def METRICS(self) -> tuple[str, ...]: ...  # noqa: N802
    @property
    def PROMPTS(self) -> tuple[str, ...]: ...  # noqa: N802

    def request(
        self,
        messages: Sequence[Message],
        answer: str,
        language: Language,
        prompt: str,
        *,
        shots: Sequence[Example],
        chat: bool,
    ) -> Request: ...

    def score_row(self, row: Mapping[str, Any], language: Language) -> Outcome: ...


def task(name: str) -> Task:
    """Import the module of a task.

    Args:
        name: the task; what follows a colon names a task of another program, as in "lm_eval:belebele".

    Raises:
        UnknownName: there is no task of this name.
    """
    return cast(Task, member("task", name.partition(":")[0]))


def asks_for_likelihoods(module: Any) -> bool:
    """Whether a task asks for likelihoods of given texts, not for answers."""
    return hasattr(module, "request")


def asked_of_every_run(module: Any) -> bool:
    """Whether a task is asked of every run by default: what no run trains on measures what training adds or loses."""
    return hasattr(module, "score_row")


def rewrite_question(messages: Sequence[Message], question: str) -> list[dict[str, str]]:
    """Replace the content of the last user message; all other messages stay unchanged.

    Raises:
        EvaluationError: the conversation has no user message.
    """
    place = last_question(messages)
    return [
        {"role": message["role"], "content": question if index == place else message["content"]}
        for index, message in enumerate(messages)
    ]


def present_unchanged(messages: Sequence[Message], prompt: str) -> list[dict[str, str]]:
    """The conversation as in the corpus, for tasks whose only prompt format is "bare".

    Raises:
        EvaluationError: `prompt` is another format, or the conversation has no user message.
    """
    check_prompt(prompt, ("bare",))
    return rewrite_question(messages, messages[last_question(messages)]["content"])


def last_question(messages: Sequence[Message]) -> int:
    """Index of the last user message.

    Raises:
        EvaluationError: the conversation has none.
    """
    places = [index for index, message in enumerate(messages) if message["role"] == "user"]
    if not places:
        raise EvaluationError("A conversation has no user message, so no prompt can be built. Check the corpus.")
    return places[-1]


def check_prompt(prompt: str, known: tuple[str, ...]) -> None:
    """Check that a prompt format exists.

    Raises:
        EvaluationError: `prompt` is not one of the `known` formats.
    """
    if prompt not in known:
        raise EvaluationError(
            f"'{prompt}' is not a prompt format of this task.{did_you_mean(prompt, known)} Known: {', '.join(known)}."
        )


class MissingWords(EvaluationError):
    """A prompt form needs a sentence in a language that has no file."""


def words_of(language: Language, field: str, prompt: str) -> str:
    """A text in the language of the item that a prompt form adds.

    Args:
        language: the language of the item.
        field: the field of `Language`: "step_by_step" or "summarize".
        prompt: the prompt form, for the message.

    Raises:
        MissingWords: the language has no file, and so no such text.
    """
    text = str(getattr(language, field))
    if not text:
        raise MissingWords(
            f"The prompt form '{prompt}' adds a sentence in the language of the item, and {language.name} "
            f"({language.tag}) has no file with one ('{field}'). Use prompt = \"bare\", or add a file "
            "(docs/languages.md)."
        )
    return text


__all__ = [
    "LANGUAGE_METRIC",
    "LINE_METRIC",
    "RESPONSE_METRIC",
    "Language",
    "LikelihoodTask",
    "Message",
    "MissingWords",
    "Outcome",
    "Task",
    "asked_of_every_run",
    "asks_for_likelihoods",
    "check_prompt",
    "last_question",
    "present_unchanged",
    "rewrite_question",
    "task",
    "words_of",
]
