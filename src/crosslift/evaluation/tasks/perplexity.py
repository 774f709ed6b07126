"""Likelihood of held-out text: what a model knows of a language, and what post-training makes it forget.

The text of an item is the contents of all messages of its conversation, one per line, without chat template; the gold
answer is not used. Log-probabilities are divided by the bytes of the text and not by its tokens, so that models with
different tokenizers can be compared.

    byte_probability    2 to the power of minus the bits per byte: the geometric mean of the probability of a byte, in
                        (0, 1), higher is better; the reciprocal of the byte perplexity
    bits_per_byte       -log2 P(text) / bytes; lower is better, without upper limit

Claims, figures and the transfer model need a share that grows with quality, so `byte_probability` is the primary
metric; reports show both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from crosslift.errors import EvaluationError
from crosslift.evaluation.requests.kinds import Example, Text
from crosslift.evaluation.task import Message, Outcome, check_prompt, present_unchanged
from crosslift.languages.language import Language

METRICS = ("byte_probability", "bits_per_byte")
PROMPTS = ("bare",)
MAX_TOKENS = 1
"""Nothing is generated."""


def present(messages: Sequence[Message], language: Language, prompt: str) -> list[dict[str, str]]:
    """The conversation as in the corpus.

    Raises:
        EvaluationError: the prompt format is unknown, or there is no user message.
    """
    return present_unchanged(messages, prompt)


def request(
    messages: Sequence[Message],
    answer: str,
    language: Language,
    prompt: str,
    *,
    shots: Sequence[Example],
    chat: bool,
) -> Text:
    """What is asked about one item.

    Raises:
        EvaluationError: the prompt format is unknown, or there are worked examples or a chat template, which the
            likelihood of a text cannot have.
    """
    check_prompt(prompt, PROMPTS)
    if shots or chat:
        raise EvaluationError(
            "perplexity scores texts as they stand. Remove shots and chat_template from the evaluation."
        )
    return Text(text="\n".join(message["content"] for message in messages))


def score_row(row: Mapping[str, Any], language: Language) -> Outcome:
    """Score one row of `scores.LIKELIHOODS`."""
    text = row["continuations"][0]
    bits = -text["log_probability"] / math.log(2) / text["num_bytes"]
    return Outcome(values={"byte_probability": 2.0**-bits, "bits_per_byte": bits}, status="scored")
