"""Imported results as observations: what `crosslift import` wrote, read as a further study of a recommendation."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from crosslift.errors import TransferError
from crosslift.recommendation.question import Unit
from crosslift.transfer.model.observations import Observations, observations_of

TABLES = ("runs", "cells")
"""Tables of an import that are read."""


def is_import(folder: Path) -> bool:
    """Whether a folder holds imported results and no study."""
    return not (folder / "study.toml").exists() and all((folder / f"{name}.parquet").is_file() for name in TABLES)


def imported_observations(folder: Path, *, evaluation: str, metric: str, unit: Unit) -> Observations:
    """Read the cells of an import that measure an evaluation of the study.

    Args:
        folder: output folder of `crosslift import`.
        evaluation: name of the study's evaluation; an import with a single one may name it otherwise.
        metric: metric of the study; an import with a single one may name it otherwise.
        unit: unit of the amounts, which an import has in items.

    Returns:
        Observations without items behind their scores.

    Raises:
        TransferError: the import has no such cells, a run's languages or amounts are unknown, or scores are not shares.
    """
    where = f"imported results {folder.name}"
    if unit == "tokens":
        raise TransferError(f"{where}: their amounts are in items. Ask with --unit items, or leave them out.")
    runs, cells = (pl.read_parquet(folder / f"{name}.parquet") for name in TABLES)
    for column, wanted in (("evaluation", evaluation), ("metric", metric)):
        names = cells[column].unique().sort().to_list()
        if wanted not in names and len(names) != 1:
            raise TransferError(f"{where} have no {column} '{wanted}'. They have: {', '.join(names)}.")
        cells = cells.filter(pl.col(column) == (wanted if wanted in names else names[0]))
    table = cells.drop("num_items").join(runs.rename({"num_items": "amounts"}), on="run").drop("num_tokens")
    table = table.filter(pl.col("value").is_not_null(), pl.col("languages").list.len() > 0)
    if table.is_empty():
        raise TransferError(f"{where} have no scores of runs whose training languages are known.")
    if table["amounts"].null_count():
        raise TransferError(
            f"{where} have runs without amounts. Add the column amount to the mapping and import again."
        )
    if not table["value"].is_between(0, 1).all():
        raise TransferError(f"{where} have scores outside 0 to 1. State their unit in the mapping and import again.")
    return observations_of(table)
