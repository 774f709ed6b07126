"""Overlap of a text with a reference: ROUGE-L and chrF, by the libraries that define them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any


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
    from rouge_score.rouge_scorer import RougeScorer  # type: ignore[import-untyped]

    return RougeScorer(["rougeL"], tokenizer=_Tokenizer())


def chrf(reference: str, said: str) -> float:
    """Character n-gram F-score of one text, in [0, 1]."""
    return float(_chrf().sentence_score(said.strip(), [reference.strip()]).score / 100)


@cache
def _chrf() -> Any:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF()
