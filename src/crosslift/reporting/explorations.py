"""What was believed after each batch of an exploration, as a data frame."""

from __future__ import annotations

import polars as pl

from crosslift.exploring.journal import path_of
from crosslift.recommendation.summary import amounts_text
from crosslift.reporting.data import ReportData

SCHEMA = pl.Schema(
    {
        "asked": pl.String,  # the question in words
        "runs": pl.Int64,  # finished runs of the model
        "explored": pl.Int64,  # of these, executed by the exploration
        "hours": pl.Float64,  # of workers, for these
        "mixture": pl.String,
        "amounts": pl.String,
        "expected": pl.Float64,  # points
        "low": pl.Float64,
        "high": pl.Float64,
        "points": pl.Float64,  # distance from the best that was asked for
        "probability": pl.Float64,
        "wanted": pl.Float64,
        "undecided": pl.String,
        "stop": pl.String,
        "next": pl.String,  # runs of the next batch
    }
)


def exploration(data: ReportData) -> pl.DataFrame:
    """What was believed after each batch of `crosslift explore`, and which runs followed. No columns without any."""
    rows = []
    for entries in path_of(data.exploration).values():
        for one in entries:
            values = {"expected": one.expected, "low": one.low, "high": one.high, "points": one.margin}
            rows.append(
                {
                    "asked": one.asked,
                    "runs": one.num_finished,
                    "explored": one.num_explored,
                    "hours": one.hours,
                    "mixture": one.mixture,
                    "amounts": amounts_text(one.amounts),
                    **{name: None if value is None else round(100 * value, 2) for name, value in values.items()},
                    "probability": one.probability,
                    "wanted": one.wanted,
                    "undecided": one.undecided,
                    "stop": one.stop,
                    "next": " ".join(run.run for run in one.batch),
                }
            )
    return pl.DataFrame(rows, schema=SCHEMA) if rows else pl.DataFrame()
