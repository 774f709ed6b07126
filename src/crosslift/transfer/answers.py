"""Answers: estimates with intervals and the verdicts that follow from them.

A claim is stated as a number that is positive if the claim holds. The position of its confidence interval relative to 0
determines the verdict. All verdicts are computed here: those of the papers' claims, of analyses of imported results, of
declared contrasts and of recommendations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

Side = Literal["above", "below", "both", "unknown"]
"""Position of a confidence interval relative to 0."""
Verdict = Literal["supported", "not supported", "cannot tell", ""]
"""Empty if no claim is made."""

VERDICTS: Mapping[Side, Verdict] = {
    "above": "supported",
    "below": "not supported",
    "both": "cannot tell",
    "unknown": "cannot tell",
}
"""Verdict on the claim that a number is positive, by the position of its interval."""

ANSWERS = pl.Schema(
    {
        "analysis": pl.String(),
        "question": pl.String(),
        "about": pl.String(),  # the part of the results
        "measure": pl.String(),  # what is measured
        "value": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "printed": pl.Float64(),  # published value; null if there is none
        "reproduces": pl.Boolean(),  # does the value round to the printed one?
        "verdict": pl.String(),
        "num_runs": pl.Int64(),
        "runs": pl.String(),  # the first three
        "note": pl.String(),
    }
)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One estimate for one question."""

    question: str
    """The question or claim."""
    about: str
    """The part of the results that the answer is about."""
    measure: str
    """What is measured, and in which unit."""
    value: float | None
    low: float | None = None
    high: float | None = None
    printed: float | None = None
    """The published value; None if there is none."""
    decimals: int = 1
    """Decimals of the published value."""
    verdict: Verdict = ""
    metric: str = ""
    """The metric in whose unit the value is; empty for shares."""
    runs: Sequence[str] = ()
    """Names of the runs behind the estimate."""
    note: str = ""

    @property
    def reproduces(self) -> bool | None:
        """Whether the value rounds to the published one; None if either is missing."""
        if self.printed is None or self.value is None:
            return None
        return abs(self.value - self.printed) <= 0.5 * 10.0**-self.decimals + 1e-9


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """The answers of one analysis, and its tables."""

    kind: str
    """Name of the analysis module."""
    answers: list[Answer]
    tables: dict[str, pl.DataFrame]
    """Name -> table that the analysis adds to the page."""


def side_of_zero(low: float | None, high: float | None) -> Side:
    """Position of an interval relative to 0; "unknown" without an interval."""
    if low is None or high is None:
        return "unknown"
    if low > 0:
        return "above"
    return "below" if high < 0 else "both"


def verdict(low: float | None, high: float | None) -> Verdict:
    """Verdict on the claim that a number is positive, from its confidence limits."""
    return VERDICTS[side_of_zero(low, high)]


def answer_table(analysed: Sequence[Analysis]) -> pl.DataFrame:
    """All answers of several analyses in one table; columns as in ANSWERS."""
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
