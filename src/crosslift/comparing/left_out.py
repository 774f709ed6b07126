"""What cannot be compared or pooled, with the reason: counted and named, never dropped silently."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import polars as pl

LEFT_OUT = pl.Schema(
    {
        "kind": pl.String,  # "model", "mixture", "contrast", "seed", "evaluation", "language", "cell" or "items"
        "name": pl.String,
        "study": pl.String,  # the study whose cells or items are left out
        "num_cells": pl.Int64,  # null where no number of cells applies
        "num_items": pl.Int64,  # null unless items are left out
        "reason": pl.String,
    }
)


def leave_out(
    kind: str, name: str, study: str, reason: str, *, num_cells: int | None = None, num_items: int | None = None
) -> dict[str, Any]:
    """Return a row of what is left out; columns as in LEFT_OUT."""
    return {
        "kind": kind,
        "name": name,
        "study": study,
        "num_cells": num_cells,
        "num_items": num_items,
        "reason": reason,
    }


def left_out_lines(table: pl.DataFrame) -> list[str]:
    """Return one line per row of a table with the columns of LEFT_OUT."""
    return [_line(row) for row in table.iter_rows(named=True)]


def _line(row: dict[str, Any]) -> str:
    if row["num_items"] is not None:
        return f"{row['study']}: {row['num_items']} items of {row['name']}: {row['reason']}"
    number = row["num_cells"]
    cells = "" if number is None else " (1 cell)" if number == 1 else f" ({number} cells)"
    kind = "" if row["kind"] == "cell" else f"{row['kind']} "
    return f"{row['study']}: {kind}{row['name']}{cells}: {row['reason']}"


def first_lines(lines: Iterable[str], limit: int) -> list[str]:
    """Return the first lines, and a line with the number of further ones."""
    found = list(lines)
    more = len(found) - limit
    return [*found[:limit], f"... and {more} more"] if more > 0 else found
