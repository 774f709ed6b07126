"""Reading columns from names of tasks, e.g. the language from `mgsm_direct_sw`."""

from __future__ import annotations

import re

import polars as pl

from crosslift.errors import TransferError
from crosslift.importing.mapping import ImportMapping


def parse_task_names(mapping: ImportMapping, table: pl.DataFrame) -> pl.DataFrame:
    """Add a column per named group of `source.pattern`, matched against `task_name`. Rows of other tasks are removed.

    Raises:
        TransferError: the pattern is not a regular expression, or matches no task.
    """
    if mapping.pattern is None:
        return table
    try:
        pattern = re.compile(mapping.pattern)
    except re.error as error:
        raise TransferError(f"source.pattern: {mapping.pattern!r} is not a regular expression ({error}).") from error
    names = table["task_name"].unique(maintain_order=True).to_list()
    found = {name: match.groupdict() for name in names if (match := pattern.fullmatch(name))}
    if not found:
        raise TransferError(f"source.pattern: {mapping.pattern!r} matches none of the tasks {', '.join(names)}.")
    parts = pl.DataFrame([{"task_name": name, **groups} for name, groups in found.items()])
    return table.join(parts, on="task_name", how="inner", maintain_order="left")
