"""Tables of a comparison as CSV, for people and spreadsheets, and as Parquet, with types."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from crosslift.execution.folder.tables import write_table
from crosslift.system.files import make_folder
from crosslift.untrusted.csv_file import write_csv


def write_tables(
    folder: Path, tables: Mapping[str, pl.DataFrame], *, below: str = "tables", csv: bool = True
) -> list[tuple[str, str]]:
    """Write tables.

    Args:
        folder: of the page.
        tables: name -> table.
        below: folder of the tables, relative to `folder`.
        csv: whether to write CSV too.

    Returns:
        (path relative to `folder`, content) of each file.
    """
    files: list[tuple[str, str]] = []
    make_folder(folder / below)
    for name, table in tables.items():
        place = Path(below) / name
        what = f"{name.replace('_', ' ')}, {table.height:,} rows"
        write_table(folder / place.with_suffix(".parquet"), table)
        files.append((place.with_suffix(".parquet").as_posix(), what))
        if csv:
            write_csv(folder / place.with_suffix(".csv"), table)
            files.append((place.with_suffix(".csv").as_posix(), what))
    return files
