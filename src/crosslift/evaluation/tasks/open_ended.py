"""Open-ended prompts with a reference answer, such as Dolly's.

    chrf         character n-gram F-score against the reference (Popovic 2015), by sacrebleu
    rouge_l      F1 of the longest common subsequence of words
    in_language

There is no right answer here, and overlap with one reference says little of quality: it tells answers that are beside
the point, empty, or in another language from those that are not. arXiv 2504.16677 has a model judge them from 1 to 5.
"""

from __future__ import annotations

from collections.abc import Sequence

from crosslift.evaluation.overlap import chrf, rouge_l
from crosslift.evaluation.task import LANGUAGE_METRIC, Message, Outcome, check_prompt, last_question, rewrite_question
from crosslift.languages.identify import in_language
from crosslift.languages.language import Language
from crosslift.languages.words import words

METRICS = ("chrf", "rouge_l", LANGUAGE_METRIC)
PROMPTS = ("bare",)
MAX_TOKENS = 512


def present(messages: Sequence[Message], language: Language, prompt: str) -> list[dict[str, str]]:
    """The conversation as the corpus holds it.

    Raises:
        EvaluationError: no such form, or no question.
    """
    check_prompt(prompt, PROMPTS)
    return rewrite_question(messages, messages[last_question(messages)]["content"])


def score(text: str, answer: str, language: Language) -> Outcome:
    """Overlap with the reference; "unparsed" where the text holds no word.

    Raises:
        ValueError: the reference holds no word.
    """
    reference = words(answer, language)
    if not reference:
        raise ValueError(f"{answer!r} is not a reference: it holds no word.")
    spoken = float(in_language(text, language))
    said = words(text, language)
    if not said:
        return Outcome(values={**dict.fromkeys(METRICS, 0.0), LANGUAGE_METRIC: spoken}, status="unparsed")
    values = {"chrf": chrf(answer, text), "rouge_l": rouge_l(reference, said), LANGUAGE_METRIC: spoken}
    return Outcome(values=values, status="scored", parsed=text.strip())
