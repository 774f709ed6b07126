"""The table of an exploration for the page."""

from __future__ import annotations

from crosslift.reporting.data import ReportData
from crosslift.reporting.explorations import exploration
from crosslift.reporting.tables.cells import Cell, Grid, header
from crosslift.reporting.wording import points_text


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
