"""Summarization with one reference summary (XL-Sum, arXiv 2106.13822).

    rouge_l, chrf, exact, in_language      see `evaluation.overlap`; arXiv 2504.16677 reports the first

Prompt formats: "instructed" appends an instruction to summarize, in the language of the text; "bare" is the text as in
the corpus.
"""

from __future__ import annotations

from collections.abc import Sequence

from crosslift.evaluation.overlap import score_against_reference
from crosslift.evaluation.task import (
    LANGUAGE_METRIC,
    Message,
    Outcome,
    check_prompt,
    last_question,
    rewrite_question,
    words_of,
)
from crosslift.languages.language import Language

METRICS = ("rouge_l", "chrf", "exact", LANGUAGE_METRIC)
PROMPTS = ("instructed", "bare")
MAX_TOKENS = 128


def present(messages: Sequence[Message], language: Language, prompt: str) -> list[dict[str, str]]:
    """The conversation with its last user message in a published prompt format.

    Raises:
        EvaluationError: the prompt format is unknown or has no words in the language, or there is no user message.
    """
    check_prompt(prompt, PROMPTS)
    question = messages[last_question(messages)]["content"]
    if prompt == "instructed":
        question = f"{question}\n{words_of(language, 'summarize', prompt)}"
    return rewrite_question(messages, question)


def score(text: str, answer: str, language: Language) -> Outcome:
    """Score one completion against the reference; the status is "unparsed" if it contains no word.

    Raises:
        ValueError: the reference contains no word.
    """
    return score_against_reference(text, answer, language, METRICS)
