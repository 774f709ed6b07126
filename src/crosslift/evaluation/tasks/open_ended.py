"""Open-ended prompts with a reference answer, such as Dolly's.

    chrf, rouge_l, in_language      see `evaluation.overlap`

There is no right answer here, and overlap with one reference says little of quality: it tells answers that are beside
the point, empty, or in another language from those that are not. arXiv 2504.16677 has a model judge them from 1 to 5.
"""

from __future__ import annotations

from collections.abc import Sequence

from crosslift.evaluation.overlap import score_against_reference
from crosslift.evaluation.task import LANGUAGE_METRIC, Message, Outcome, as_written
from crosslift.languages.language import Language

METRICS = ("chrf", "rouge_l", LANGUAGE_METRIC)
PROMPTS = ("bare",)
MAX_TOKENS = 512


def present(messages: Sequence[Message], language: Language, prompt: str) -> list[dict[str, str]]:
    """The conversation as the corpus holds it.

    Raises:
        EvaluationError: no such form, or no question.
    """
    return as_written(messages, prompt)


def score(text: str, answer: str, language: Language) -> Outcome:
    """Overlap with the reference; "unparsed" where the text holds no word.

    Raises:
        ValueError: the reference holds no word.
    """
    return score_against_reference(text, answer, language, METRICS)
