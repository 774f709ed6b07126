"""Summaries against one reference (XL-Sum, arXiv 2106.13822).

    rouge_l, chrf, exact, in_language      see `evaluation.overlap`; arXiv 2504.16677 publishes the first

Prompt forms: "instructed" puts the request to summarise, in the language of the text, behind it; "bare" is the text as
the corpus holds it.
"""

from __future__ import annotations

from collections.abc import Sequence

from crosslift.evaluation.overlap import score_against_reference
from crosslift.evaluation.task import LANGUAGE_METRIC, Message, Outcome, check_prompt, last_question, rewrite_question
from crosslift.languages.language import Language

METRICS = ("rouge_l", "chrf", "exact", LANGUAGE_METRIC)
PROMPTS = ("instructed", "bare")
MAX_TOKENS = 128


def present(messages: Sequence[Message], language: Language, prompt: str) -> list[dict[str, str]]:
    """The conversation with its last question in a published prompt form.

    Raises:
        EvaluationError: no such form, or no question.
    """
    check_prompt(prompt, PROMPTS)
    question = messages[last_question(messages)]["content"]
    if prompt == "instructed":
        question = f"{question}\n{language.summarize}"
    return rewrite_question(messages, question)


def score(text: str, answer: str, language: Language) -> Outcome:
    """Overlap with the reference; "unparsed" where the text holds no word.

    Raises:
        ValueError: the reference holds no word.
    """
    return score_against_reference(text, answer, language, METRICS)
