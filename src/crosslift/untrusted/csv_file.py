"""CSV output that is safe against formula injection.

A spreadsheet interprets a cell that begins with = + - @, a tab or a carriage return as a formula, which may read other
files or open network addresses. Such strings are prefixed with an apostrophe, as OWASP recommends (CSV injection).
Numeric columns are not changed.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from crosslift.system.files import atomic_write

FORMULA = r"^[\s]*[=+\-@\t\r＝＋－＠]"
NUMBER = r"^[+-]?\d+([.,]\d+)*([eE][+-]?\d+)?\s?%?$"


def write_csv(path: Path, table: pl.DataFrame) -> None:
    """Write a table atomically as CSV, with formulas escaped.

    Args:
        path: the file to write.
        table: the table.

    Raises:
        StoreError: the file cannot be written.
    """
    with atomic_write(path, durable=False) as temporary:
        harmless(table).write_csv(temporary)


def harmless(table: pl.DataFrame) -> pl.DataFrame:
    """Prefix every string and column name that a spreadsheet would interpret as a formula with an apostrophe.

    Args:
        table: any table.

    Returns:
        The escaped table.
    """
    texts = [name for name, kind in table.schema.items() if kind == pl.String]
    quoted = table.with_columns(
        pl.when(pl.col(name).str.contains(FORMULA) & ~pl.col(name).str.contains(NUMBER))
        .then(pl.lit("'") + pl.col(name))
        .otherwise(pl.col(name))
        .alias(name)
        for name in texts
    )
    return quoted.rename(
        {name: f"'{name}" for name in quoted.columns if name.startswith(("=", "+", "-", "@", "\t", "\r"))}
    )
