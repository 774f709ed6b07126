"""Parquet tables of a study, read with detection of damage and written atomically and deterministically."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosslift.errors import StoreError
from crosslift.execution.folder import checksums
from crosslift.fingerprint import fingerprint_file
from crosslift.system.files import atomic_write

if TYPE_CHECKING:  # a restart without work reads no table, and importing polars takes a tenth of its time
    import polars as pl

ROW_GROUP = 1 << 17


Schema = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None
"""Expected columns and types of a table, or several alternatives; None: any."""


def read_table(path: Path, schema: Schema = None) -> pl.DataFrame:
    """Read a Parquet file into memory.

    Args:
        path: the file.
        schema: expected columns and types, or alternatives; None to skip the check.

    Returns:
        The table.

    Raises:
        StoreError: the file does not exist, cannot be read, or has unexpected columns.
    """
    import polars as pl

    if not path.exists():
        raise StoreError(f"{path} does not exist yet. Run: crosslift run, or see: crosslift status")
    try:
        table = pl.read_parquet(path, memory_map=False)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        what = str(error).partition("\n")[0]
        raise StoreError(
            f"{path} cannot be read ({what}). Remove its folder; crosslift run creates it again."
        ) from error
    allowed = [schema] if schema is None or isinstance(schema, Mapping) else list(schema)
    if schema is not None and table.schema not in allowed:
        raise StoreError(f"{path} has unexpected columns. Remove its folder; crosslift run creates it again.")
    return table


def read_step_table(folder: Path, file: str, schema: Schema = None) -> pl.DataFrame:
    """Verify and read a table of a finished step.

    Args:
        folder: the step's folder.
        file: name relative to the folder.
        schema: expected columns and types, or alternatives; None to skip the check.

    Returns:
        The table.

    Raises:
        StoreError: as for `read_table`, or the file does not match its checksum.
    """
    checksums.verify_files(folder, [file])
    return read_table(folder / file, schema)


def write_table(path: Path, table: pl.DataFrame) -> None:
    """Write a Parquet file atomically, without syncing it, because the step's done-marker does so.

    Equal tables give equal bytes: the table is written as one chunk with row groups of fixed size.

    Args:
        path: the file.
        table: the table.
    """
    with atomic_write(path, durable=False) as temporary:
        table.rechunk().write_parquet(temporary, compression="zstd", row_group_size=ROW_GROUP)


def rename_scores(folder: Path, *, run: str, evaluation: str) -> dict[str, Any]:
    """Rewrite the names in the scores and verdicts of an evaluation whose run or evaluation was renamed.

    Args:
        folder: folder of the evaluation's files.
        run: the run's present name.
        evaluation: the evaluation's present name.

    Returns:
        The changed outputs of the evaluation's done-marker.

    Raises:
        StoreError: a table cannot be read or written.
    """
    import polars as pl

    from crosslift.scores import SCORES

    for file in (folder / "scores.parquet", folder / checksums.JUDGED):
        if file.is_file():
            table = read_table(file, SCORES)
            write_table(file, table.with_columns(run=pl.lit(run), evaluation=pl.lit(evaluation)))
    return {"scores": fingerprint_file(folder / "scores.parquet")}
