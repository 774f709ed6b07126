"""What an analysis of results says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

Verdict = Literal["supported", "not supported", "cannot tell", ""]

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
class Analysed:
    """The answers of one analysis, and a table of its own where it made one."""

    kind: str
    answers: list[Answer]
    tables: dict[str, pl.DataFrame]


def sign_verdict(low: float | None, high: float | None) -> Verdict:
    """Of a claim that a number is above 0."""
    if low is None or high is None:
        return "cannot tell"
    if low > 0:
        return "supported"
    return "not supported" if high < 0 else "cannot tell"


def as_table(analysed: Sequence[Analysed]) -> pl.DataFrame:
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
