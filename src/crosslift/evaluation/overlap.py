"""Reference-based metrics: overlap of a text with a reference text.

    rouge_l      F1 of the longest common subsequence of words (ROUGE-L, C.-Y. Lin 2004), by rouge-score
    chrf         character n-gram F-score (chrF, M. Popovic 2015), by sacrebleu; needs no word segmentation
    exact        1 if the words equal those of the reference
    in_language

ROUGE-L uses the words of `languages.words`: the tokenizer of `rouge-score` drops all characters but a-z and 0-9, so
that every text in Russian or Thai would score 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from crosslift.evaluation.task import LANGUAGE_METRIC, Outcome
from crosslift.extras import optional
from crosslift.languages.identify import in_language
from crosslift.languages.language import Language
from crosslift.languages.words import words


def score_against_reference(text: str, reference: str, language: Language, metrics: Sequence[str]) -> Outcome:
    """Score a text against a reference; the status is "unparsed" if the text contains no word.

    Args:
        text: the completion.
        reference: the reference text.
        language: the language of both.
        metrics: names of the metrics to return.

    Raises:
        ValueError: the reference contains no word.
    """
    wanted = words(reference, language)
    if not wanted:
        raise ValueError(f"{reference!r} is not a reference: it contains no word.")
    values = {LANGUAGE_METRIC: float(in_language(text, language))}
    said = words(text, language)
    if not said:
        return Outcome(values=dict.fromkeys(metrics, 0.0) | values, status="unparsed")
    values |= {"rouge_l": rouge_l(wanted, said), "chrf": chrf(reference, text), "exact": float(said == wanted)}
    return Outcome(values={name: values[name] for name in metrics}, status="scored", parsed=text.strip())


def rouge_l(reference: Sequence[str], said: Sequence[str]) -> float:
    """ROUGE-L: F1 of the longest common subsequence of two word sequences, in [0, 1]."""
    return float(_rouge().score(_Words(reference), _Words(said))["rougeL"].fmeasure)


class _Words(str):
    """A list of words in the shape of a text, because `rouge-score` expects a text and a tokenizer."""

    words: list[str]

    def __new__(cls, words: Sequence[str]) -> _Words:
        text = super().__new__(cls)
        text.words = list(words)
        return text


class _Tokenizer:
    def tokenize(self, text: _Words) -> list[str]:
        return text.words


@cache
def _rouge() -> Any:
    with optional():
        from rouge_score.rouge_scorer import RougeScorer  # type: ignore[import-untyped]

    return RougeScorer(["rougeL"], tokenizer=_Tokenizer())


def chrf(reference: str, said: str) -> float:
    """chrF: character n-gram F-score of one text, in [0, 1]."""
    return float(_chrf().sentence_score(said.strip(), [reference.strip()]).score / 100)


@cache
def _chrf() -> Any:
    with optional():
        from sacrebleu.metrics.chrf import CHRF

    return CHRF()
