"""Answers: numbers with intervals, and what they say about a question. Verdicts are decided here and nowhere else.

A claim is stated as a number that is above 0 where the claim holds. Its verdict then follows from where the interval
lies, for the papers' claims, for analyses of imported results, for declared contrasts and for recommendations alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

Side = Literal["above", "below", "both", "unknown"]
Verdict = Literal["supported", "not supported", "cannot tell", ""]
"""Empty where nothing is claimed."""

VERDICTS: Mapping[Side, Verdict] = {
    "above": "supported",
    "below": "not supported",
    "both": "cannot tell",
    "unknown": "cannot tell",
}

ANSWERS = pl.Schema(
    {
        "analysis": pl.String(),
        "question": pl.String(),
        "about": pl.String(),  # which part of the results
        "measure": pl.String(),  # what the number is
        "value": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "printed": pl.Float64(),  # as published; null where nothing was
        "reproduces": pl.Boolean(),  # does the value round to the printed one?
        "verdict": pl.String(),
        "num_runs": pl.Int64(),
        "runs": pl.String(),  # the first of them
        "note": pl.String(),
    }
)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One number with what it says about one question."""

    question: str
    about: str
    measure: str
    value: float | None
    low: float | None = None
    high: float | None = None
    printed: float | None = None
    decimals: int = 1
    """Of the printed value."""
    verdict: Verdict = ""
    runs: Sequence[str] = ()
    note: str = ""

    @property
    def reproduces(self) -> bool | None:
        if self.printed is None or self.value is None:
            return None
        return abs(self.value - self.printed) <= 0.5 * 10.0**-self.decimals + 1e-9


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """The answers of one analysis, and a table of its own where it made one."""

    kind: str
    answers: list[Answer]
    tables: dict[str, pl.DataFrame]


def side_of_zero(low: float | None, high: float | None) -> Side:
    """On which side of 0 an interval lies: "unknown" where there is no interval."""
    if low is None or high is None:
        return "unknown"
    if low > 0:
        return "above"
    return "below" if high < 0 else "both"


def verdict(low: float | None, high: float | None) -> Verdict:
    """Of a claim that a number is above 0."""
    return VERDICTS[side_of_zero(low, high)]


def answer_table(analysed: Sequence[Analysis]) -> pl.DataFrame:
    """All answers; columns as in ANSWERS."""
    rows = [
        {
            "analysis": one.kind,
            "question": answer.question,
            "about": answer.about,
            "measure": answer.measure,
            "value": answer.value,
            "low": answer.low,
            "high": answer.high,
            "printed": answer.printed,
            "reproduces": answer.reproduces,
            "verdict": answer.verdict,
            "num_runs": len(answer.runs),
            "runs": ", ".join(answer.runs[:3]) + (" ..." if len(answer.runs) > 3 else ""),
            "note": answer.note,
        }
        for one in analysed
        for answer in one.answers
    ]
    return pl.DataFrame(rows, schema=ANSWERS)
