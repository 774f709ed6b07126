"""Multiple choice by likelihood: the model's answer is the choice that it finds most probable behind the question.

The gold answer of an item is a JSON object with its choices, the position of the right one, and, where the language
writes no space there, what stands between question and choice:

    {"choices": ["Berlin", "Bonn"], "gold": 0, "delimiter": " "}

Prompt formats:

    full            the question, then a choice (XCOPA, XStoryCloze)
    answer          the question, a line "Answer:", then a choice
    letters         the question, the choices with letters, a line "Answer:", then a letter (Belebele, MMLU)
    native_answer, native_letters       the same with the word for "Answer" in the language of the question

The prompt is plain text, or with `chat_template = true` the last message of a conversation in the model's template.
Worked examples stand before it, separated by an empty line. Metrics, with the names of lm-evaluation-harness:

    accuracy                  (acc)             choice of the largest log-probability
    accuracy_characters       (acc_norm)        divided by the length of the choice in characters
    accuracy_bytes            (acc_bytes)       in bytes
    accuracy_tokens                             in tokens, the delimiter included
    accuracy_unconditional    (acc_mutual_info) minus the log-probability of the choice without the question
    gold_probability                            softmax of the log-probabilities, at the right choice

The last changes with every step of training, so it shows effects that are too small to change an answer.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crosslift.errors import EvaluationError, visible
from crosslift.evaluation.requests.kinds import Continuations, Example
from crosslift.evaluation.task import Message, Outcome, check_prompt, last_question, rewrite_question
from crosslift.languages.language import Language
from crosslift.languages.language import language as find_language

METRICS = (
    "accuracy",
    "accuracy_characters",
    "accuracy_bytes",
    "accuracy_tokens",
    "accuracy_unconditional",
    "gold_probability",
)
PROMPTS = ("full", "answer", "letters", "native_answer", "native_letters")
MAX_TOKENS = 1
"""Nothing is generated."""

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, kw_only=True)
class Choices:
    """The gold answer of an item."""

    choices: tuple[str, ...]
    gold: int
    """Position of the right choice."""
    delimiter: str = " "
    """Between question and choice."""

    @classmethod
    def read(cls, answer: str) -> Choices:
        """Read a gold answer.

        Raises:
            EvaluationError: it is not of the form in the module's docstring.
        """
        try:
            found = json.loads(answer)
            choices, gold, delimiter = found["choices"], found["gold"], found.get("delimiter", " ")
        except (ValueError, TypeError, KeyError, AttributeError):
            choices, gold, delimiter = None, None, None
        valid = (
            isinstance(choices, list)
            and 2 <= len(choices) <= len(LETTERS)
            and all(isinstance(choice, str) and choice for choice in choices)
            and type(gold) is int
            and 0 <= gold < len(choices)
            and isinstance(delimiter, str)
        )
        if not valid:
            raise EvaluationError(
                f"'{visible(answer, 80)}' is no gold answer of multiple_choice. It must be a JSON object such as "
                '{"choices": ["yes", "no"], "gold": 0} with 2 to 26 choices and the position of the right one.'
            )
        return cls(choices=tuple(choices), gold=gold, delimiter=delimiter)

    def write(self) -> str:
        """The gold answer as text."""
        found = {"choices": list(self.choices), "gold": self.gold}
        if self.delimiter != " ":
            found["delimiter"] = self.delimiter
        return json.dumps(found, ensure_ascii=False)


def present(messages: Sequence[Message], language: Language, prompt: str) -> list[dict[str, str]]:
    """The conversation as a model is trained on it: the question of a prompt format, and the right choice in full.

    Raises:
        EvaluationError: the prompt format is unknown or shows the choices, which are not part of the conversation, or
            there is no user message.
    """
    check_prompt(prompt, PROMPTS)
    if prompt.endswith("letters") and messages[-1]["role"] == "assistant":
        raise EvaluationError(
            f'the prompt format "{prompt}" of multiple_choice is for evaluation only. Train on prompt = "full" or '
            '"answer".'
        )
    question = messages[last_question(messages)]["content"]
    return rewrite_question(messages, question if prompt == "full" else f"{question}\n{_cue(language, prompt)}")


def request(
    messages: Sequence[Message],
    answer: str,
    language: Language,
    prompt: str,
    *,
    shots: Sequence[Example],
    chat: bool,
) -> Continuations:
    """What is asked about one item.

    Raises:
        EvaluationError: the prompt format is unknown, the language has no word for "Answer", or a gold answer is
            invalid.
    """
    check_prompt(prompt, PROMPTS)
    item = Choices.read(answer)
    shown = [(one.messages, Choices.read(one.answer)) for one in shots]
    asked = _asked(messages, item, language, prompt)
    if chat:
        start = [message for message in messages[: last_question(messages)] if message["role"] == "system"]
        for example, choices in shown:
            start.append({"role": "user", "content": _asked(example, choices, language, prompt)})
            start.append({"role": "assistant", "content": _options(choices, prompt)[choices.gold]})
        context: str | list[Message] = [*start, {"role": "user", "content": asked}]
    else:
        before = "".join(
            _asked(example, choices, language, prompt)
            + choices.delimiter
            + _options(choices, prompt)[choices.gold]
            + "\n\n"
            for example, choices in shown
        )
        context = before + asked
    return Continuations(
        context=context, delimiter="" if chat else item.delimiter, choices=tuple(_options(item, prompt))
    )


def score_row(row: Mapping[str, Any], language: Language) -> Outcome:
    """Score one row of `scores.LIKELIHOODS`.

    The status is "truncated" if a choice did not fit in the model's context.

    Raises:
        EvaluationError: the gold answer is invalid.
    """
    if row["finish"] == "length":
        return Outcome(values=dict.fromkeys(METRICS, 0.0), status="truncated")
    gold = Choices.read(row["answer"]).gold
    found: list[dict[str, Any]] = row["continuations"]
    raw = [one["log_probability"] for one in found]

    def right(value: Callable[[dict[str, Any]], float]) -> float:
        values = [value(one) for one in found]
        return float(values.index(max(values)) == gold)

    largest = max(raw)
    values = {
        "accuracy": right(lambda one: float(one["log_probability"])),
        "accuracy_characters": right(lambda one: one["log_probability"] / len(one["text"])),
        "accuracy_bytes": right(lambda one: one["log_probability"] / one["num_bytes"]),
        "accuracy_tokens": right(lambda one: one["log_probability"] / one["num_tokens"]),
        "accuracy_unconditional": right(lambda one: one["log_probability"] - one["unconditional"]),
        "gold_probability": math.exp(raw[gold] - largest) / sum(math.exp(one - largest) for one in raw),
    }
    return Outcome(values=values, status="scored", parsed=found[raw.index(largest)]["text"])


def _asked(messages: Sequence[Message], item: Choices, language: Language, prompt: str) -> str:
    question = messages[last_question(messages)]["content"]
    if prompt == "full":
        return question
    lines = [question]
    if prompt.endswith("letters"):
        lines += [f"{letter}: {choice}" for letter, choice in zip(LETTERS, item.choices, strict=False)]
    return "\n".join([*lines, _cue(language, prompt)])


def _options(item: Choices, prompt: str) -> Sequence[str]:
    return LETTERS[: len(item.choices)] if prompt.endswith("letters") else item.choices


def _cue(language: Language, prompt: str) -> str:
    spoken = language if prompt.startswith("native") else find_language("en")
    if not spoken.answer_words:
        raise EvaluationError(
            f'{language.name} has no word for "Answer" in crosslift\'s data, which prompt = "{prompt}" needs. Use '
            f'prompt = "{prompt.removeprefix("native_")}", or add answer_words to the data of the language.'
        )
    return f"{spoken.answer_words[0]}:"
