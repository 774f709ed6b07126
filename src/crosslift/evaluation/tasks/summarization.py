"""Summaries against one reference (XL-Sum, arXiv 2106.13822).

    rouge_l      F1 of the longest common subsequence of words (Lin 2004), as arXiv 2504.16677 publishes it
    chrf         character n-gram F-score (Popovic 2015) by sacrebleu, alike in scripts with and without spaces
    exact        1 where the words are those of the reference
    in_language

`rouge-score` computes the first, with our own words (`languages.words`): its own tokenizer keeps nothing but a-z and
0-9, so that every summary in Russian or Thai scores 0.

Prompt forms: "instructed" puts the request to summarise, in the language of the text, behind it; "bare" is the text as
the corpus holds it.
"""

from __future__ import annotations

from collections.abc import Sequence

from crosslift.evaluation.overlap import chrf, rouge_l
from crosslift.evaluation.task import LANGUAGE_METRIC, Message, Outcome, check_prompt, last_question, rewrite_question
from crosslift.languages.identify import in_language
from crosslift.languages.language import Language
from crosslift.languages.words import words

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
    reference = words(answer, language)
    if not reference:
        raise ValueError(f"{answer!r} is not a summary: it holds no word.")
    spoken = float(in_language(text, language))
    said = words(text, language)
    if not said:
        return Outcome(values={**dict.fromkeys(METRICS, 0.0), LANGUAGE_METRIC: spoken}, status="unparsed")
    values = {
        "rouge_l": rouge_l(reference, said),
        "chrf": chrf(answer, text),
        "exact": float(said == reference),
        LANGUAGE_METRIC: spoken,
    }
    return Outcome(values=values, status="scored", parsed=text.strip())
