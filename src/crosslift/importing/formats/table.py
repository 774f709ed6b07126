"""A tidy table: CSV, TSV or Parquet, one score per row; facts about runs may stand in a second one."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from crosslift.errors import TransferError, visible
from crosslift.importing.mapping import Import


def read(mapping: Import) -> pl.DataFrame:
    """The table, joined with the one of its runs where the mapping names one.

    Raises:
        TransferError: a file is missing or no table, or rows have no partner.
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
        raise TransferError(f"{path.name} says nothing of {alone[key].n_unique()} runs, the first is {alone[key][0]}.")
    return table.join(other, on=key, how="left", maintain_order="left", validate="m:1")


def _read(path: Path) -> pl.DataFrame:
    if not path.is_file():
        raise TransferError(f"{path} is not there. Say where the data are: --data FOLDER")
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
        return pl.read_csv(path, separator="\t" if path.suffix == ".tsv" else ",", infer_schema_length=None)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, UnicodeError, ValueError) as error:
        said = visible(str(error).split("\n")[0], 200)
        raise TransferError(f"{path.name} is no table: {said.rstrip('.')}. Copy or write it again.") from error
