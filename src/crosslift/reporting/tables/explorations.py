"""The table of an exploration: what was believed after each batch."""

from __future__ import annotations

import polars as pl

from crosslift.exploring.journal import path_of
from crosslift.recommendation.summary import amounts_text
from crosslift.reporting.data import ReportData
from crosslift.reporting.tables.cells import Cell, Grid, header
from crosslift.reporting.wording import points_text

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


def exploration_grid(data: ReportData) -> Grid | None:
    """The table for the page; None without an exploration."""
    rows = []
    for row in exploration(data).iter_rows(named=True):
        known = row["expected"] is not None
        what = row["mixture"] or row["amounts"] or "cannot tell"
        interval = f"[{row['low']:.1f}, {row['high']:.1f}]" if known else ""
        rows.append(
            [
                Cell(text=str(row["runs"]), css="number", title=row["asked"]),
                Cell(text=what, note=row["amounts"] if row["mixture"] else row["undecided"]),
                Cell(text=points_text(row["expected"] / 100) if known else "–", css="number strong"),
                Cell(text=interval, css="number"),
                Cell(text=f"{row['probability']:.2f}" if known else "–", css="number", note=f"of {row['wanted']:g}"),
                Cell(text=f"{row['hours']:.2g}", css="number"),
                Cell(text=row["next"] or row["stop"]),
            ]
        )
    if not rows:
        return None
    names = ("runs", "best mixture", "expected", "95 % interval", "probability", "hours", "next")
    head = header(*names, numbers=[0, 2, 4, 5])
    return Grid(title="Decision after each batch", head=head, rows=rows, csv="exploration.csv", css="fits")
