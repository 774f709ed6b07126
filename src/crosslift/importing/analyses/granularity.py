"""Scores that are impossible for the number of items: a mean of n binary outcomes is a multiple of 1 / n.

items       items per cell, if the source does not state them
decimals    decimals of the scores, in the unit of the source
unit        of the source: 100 for per cent
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from crosslift.errors import TransferError
from crosslift.importing.results import Results
from crosslift.transfer.answers import Analysis, Answer

OPTIONS: dict[str, type] = {"items": int, "decimals": int, "unit": float}


def analyse(results: Results, options: Mapping[str, Any]) -> Analysis:
    """The number of impossible cells, and a table of them.

    Args:
        results: with items per cell, unless `items` is given.
        options: see the module's docstring.

    Raises:
        TransferError: the number of items is unknown.
    """
    unit, decimals = float(options.get("unit", 1.0)), int(options.get("decimals", 1))
    table = results.table()
    if "items" in options:
        table = table.with_columns(num_items=pl.lit(int(options["items"])))
    if table["num_items"].dtype == pl.List(pl.Int64()) or table["num_items"].null_count() == table.height:
        raise TransferError("granularity: the number of items per score is unknown. Set items = ...")
    printed = (pl.col("value") * unit).round(decimals)
    nearest = ((pl.col("value") * pl.col("num_items")).round() / pl.col("num_items") * unit).round(decimals)
    table = table.with_columns(printed=printed, nearest=nearest)
    impossible = table.filter((pl.col("printed") - pl.col("nearest")).abs() > 0.5 * 10.0**-decimals)
    shown = ", ".join(f"{row['run']} {row['language']} {row['printed']:g}" for row in impossible.head(4).to_dicts())
    return Analysis(
        kind="granularity",
        answers=[
            Answer(
                question="Can these scores come from that many items?",
                about=f"{table.height} cells",
                measure="cells that are impossible",
                value=float(impossible.height),
                runs=sorted(set(impossible["run"])),
                note=shown,
            )
        ],
        tables={"impossible_cells": impossible.select("run", "task", "language", "printed", "nearest")},
    )
