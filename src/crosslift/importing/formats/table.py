"""A table in long format (CSV, TSV or Parquet) with one score per row; a second table may hold facts about runs."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from crosslift.errors import TransferError, visible
from crosslift.importing.mapping import ImportMapping

COLUMNS: tuple[str, ...] = ()
"""Columns that a mapping can refer to; empty because they are those of the file."""


def read(mapping: ImportMapping) -> pl.DataFrame:
    """Read the table and join it with the table of runs if the mapping names one.

    Raises:
        TransferError: a file is missing or is not a table, or rows have no run to join.
    """
    table = _read(mapping.path)
    if mapping.join is None:
        return table
    path, key = mapping.join
    other = _read(path)
    for name, one in ((mapping.path.name, table), (path.name, other)):
        if key not in one.columns:
            raise TransferError(f"{name} has no column {key}, which source.join names.")
    alone = table.join(other, on=key, how="anti")
    if not alone.is_empty():
        raise TransferError(f"{path.name} lacks {alone[key].n_unique()} runs, the first is {alone[key][0]}.")
    return table.join(other, on=key, how="left", maintain_order="left", validate="m:1")


def _read(path: Path) -> pl.DataFrame:
    if not path.is_file():
        raise TransferError(f"{path} does not exist. Set the folder of the data: --data FOLDER")
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        return pl.read_csv(path, separator="\t" if path.suffix == ".tsv" else ",", infer_schema_length=None)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, UnicodeError, ValueError) as error:
        said = visible(str(error).split("\n")[0], 200)
        raise TransferError(f"{path.name} is not a table: {said.rstrip('.')}. Copy or write it again.") from error
