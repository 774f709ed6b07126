"""Tables as CSV that a spreadsheet shows and does not compute.

A cell that begins with = + - @, a tab or a carriage return is a formula to a spreadsheet, which may read other files or
call addresses. Such texts get an apostrophe in front, as OWASP recommends (CSV injection); numbers stay as they are,
since a column of numbers holds no text.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from crosslift.system.files import atomic_write

FORMULA = r"^[\s]*[=+\-@\t\r＝＋－＠]"
NUMBER = r"^[+-]?\d+([.,]\d+)*([eE][+-]?\d+)?\s?%?$"


def write_csv(path: Path, table: pl.DataFrame) -> None:
    """Write a table in one step, the texts that a spreadsheet would compute with an apostrophe in front.

    Raises:
        StoreError: the place cannot be written.
    """
    with atomic_write(path, durable=False) as temporary:
        harmless(table).write_csv(temporary)


def harmless(table: pl.DataFrame) -> pl.DataFrame:
    """The table with an apostrophe before every text, name of a column included, that begins a formula."""
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
