"""Overlap of a text with a reference, by the libraries that define its measures.

    rouge_l      F1 of the longest common subsequence of words (Lin 2004)
    chrf         character n-gram F-score (Popovic 2015) by sacrebleu, alike in scripts with and without spaces
    exact        1 where the words are those of the reference
    in_language

`rouge-score` computes the first, with our own words (`languages.words`): its own tokenizer keeps nothing but a-z and
0-9, so that every text in Russian or Thai scores 0.
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


def against_reference(text: str, reference: str, language: Language, metrics: Sequence[str]) -> Outcome:
    """The chosen measures of one text; "unparsed" where it holds no word.

    Raises:
        ValueError: the reference holds no word.
    """
    wanted = words(reference, language)
    if not wanted:
        raise ValueError(f"{reference!r} is not a reference: it holds no word.")
    values = {LANGUAGE_METRIC: float(in_language(text, language))}
    said = words(text, language)
    if not said:
        return Outcome(values=dict.fromkeys(metrics, 0.0) | values, status="unparsed")
    values |= {"rouge_l": rouge_l(wanted, said), "chrf": chrf(reference, text), "exact": float(said == wanted)}
    return Outcome(values={name: values[name] for name in metrics}, status="scored", parsed=text.strip())


def rouge_l(reference: Sequence[str], said: Sequence[str]) -> float:
    """F1 of the longest common subsequence, in [0, 1]."""
    return float(_rouge().score(_Words(reference), _Words(said))["rougeL"].fmeasure)


class _Words(str):
    """Words that pass through `rouge-score`, which expects a text and a tokenizer."""

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
    """Character n-gram F-score of one text, in [0, 1]."""
    return float(_chrf().sentence_score(said.strip(), [reference.strip()]).score / 100)


@cache
def _chrf() -> Any:
    with optional():
        from sacrebleu.metrics.chrf import CHRF

    return CHRF()
