"""Open-ended prompts with one reference answer, such as Dolly's.

    chrf, rouge_l, in_language              see `evaluation.overlap`
    line_pass_rate, response_pass_rate      language confusion, see `evaluation.task`

Open-ended prompts have no single correct answer, and overlap with one reference is a weak measure of quality: it
separates relevant answers from irrelevant or empty ones and from answers in another language. arXiv 2504.16677 uses a
judge model with a scale from 1 to 5 instead: metric = "rating" in the evaluation (docs/judging.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from crosslift.evaluation.overlap import score_against_reference
from crosslift.evaluation.task import LANGUAGE_METRIC, LINE_METRIC, RESPONSE_METRIC, Message, Outcome, present_unchanged
from crosslift.languages.identify import share_of_lines_in_language
from crosslift.languages.language import Language

METRICS = ("chrf", "rouge_l", LANGUAGE_METRIC, LINE_METRIC, RESPONSE_METRIC)
PROMPTS = ("bare",)
MAX_TOKENS = 512


def present(messages: Sequence[Message], language: Language, prompt: str) -> list[dict[str, str]]:
    """The conversation as in the corpus.

    Raises:
        EvaluationError: the prompt format is unknown, or there is no user message.
    """
    return present_unchanged(messages, prompt)


def score(text: str, answer: str, language: Language) -> Outcome:
    """Score one completion against the reference; the status is "unparsed" if it contains no word.

    Raises:
        ValueError: the reference contains no word.
    """
    found = score_against_reference(text, answer, language, METRICS[:3])
    lines = share_of_lines_in_language(text, language)
    return replace(found, values=found.values | {LINE_METRIC: lines, RESPONSE_METRIC: float(lines == 1)})
