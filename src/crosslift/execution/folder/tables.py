"""Parquet tables of a study: read with a guard against damage, written atomically and always in the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosslift.errors import StoreError
from crosslift.execution.folder import checksums
from crosslift.system.files import atomic_write

if TYPE_CHECKING:  # a restart with nothing to do reads no table, and polars takes a tenth of its time
    import polars as pl

ROW_GROUP = 1 << 17


def read_table(path: Path, schema: Mapping[str, Any] | None = None) -> pl.DataFrame:
    """A Parquet file in memory.

    Args:
        schema: the columns that it must have.

    Raises:
        StoreError: there is no such file, it cannot be read, or it has other columns.
    """
    import polars as pl

    if not path.exists():
        raise StoreError(f"{path} does not exist yet. Run: crosslift run, or see: crosslift status")
    try:
        table = pl.read_parquet(path, memory_map=False)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        what = str(error).partition("\n")[0]
        raise StoreError(
            f"{path} cannot be read ({what}). Remove its folder, and crosslift run makes it again."
        ) from error
    if schema is not None and table.schema != schema:
        raise StoreError(
            f"{path} has other columns than it should. Remove its folder, and crosslift run makes it again."
        )
    return table


def read_step_table(folder: Path, file: str, schema: Mapping[str, Any] | None = None) -> pl.DataFrame:
    """A table of a finished step, after it was compared with its checksum.

    Raises:
        StoreError: as `read_table`, or the file is damaged.
    """
    checksums.verify_files(folder, [file])
    return read_table(folder / file, schema)


def write_table(path: Path, table: pl.DataFrame) -> None:
    """Write a Parquet file in one step; a done-marker behind it waits for the disk. Equal tables give equal bytes: one
    chunk, fixed row groups."""
    with atomic_write(path, durable=False) as temporary:
        table.rechunk().write_parquet(temporary, compression="zstd", row_group_size=ROW_GROUP)
