"""Means, standard deviations and t intervals over replicates, compared with published ones.

by          columns that identify a condition: ["model", "mixture"]
published   path of a table, relative to --data, with `columns` (ours = theirs, of by, task, language, mean, sd, low,
high)
printed_unit   factor from our values to the unit of the published table
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from crosslift.errors import TransferError
from crosslift.importing.results import Results
from crosslift.transfer.answers import Analysis, Answer
from crosslift.transfer.variance.replicate_noise import replicate_intervals

OPTIONS: dict[str, type] = {
    "by": list,
    "published": str,
    "columns": dict,
    "recode": dict,
    "without": dict,
    "printed_unit": float,
    "decimals": int,
}


def analyse(results: Results, options: Mapping[str, Any]) -> Analysis:
    """Standard deviations between replicates, and the agreement with published statistics.

    Args:
        results: imported results.
        options: see the module's docstring.

    Raises:
        TransferError: the published table lacks columns.
    """
    by = [*options.get("by", ["model", "mixture"]), "task", "metric", "language"]
    table = replicate_intervals(results.table(), by)
    unit = float(options.get("printed_unit", 1.0))
    answers = [
        Answer(
            question="How much do runs of one condition differ?",
            about=str(task),
            measure="standard deviation between replicates, pooled over conditions and languages",
            value=unit * float(np.sqrt(np.mean(part["sd"].to_numpy() ** 2))),
            runs=sorted(set(results.cells.filter(task=task)["run"])),
        )
        for (task,), part in table.filter(pl.col("num_runs") > 1).group_by("task", maintain_order=True)
    ]
    tables = {"replicates": table}
    if "published" in options:
        answer, differing = _compare_with_published(table, options, unit)
        answers.insert(0, answer)
        tables["published_that_differ"] = differing
    return Analysis(kind="replicates", answers=answers, tables=tables)


def _compare_with_published(
    table: pl.DataFrame, options: Mapping[str, Any], unit: float
) -> tuple[Answer, pl.DataFrame]:
    published = pl.read_csv(options["published"], infer_schema_length=None)
    columns = dict(options["columns"])
    if lacking := [name for name in columns.values() if name not in published.columns]:
        raise TransferError(f"{options['published']} has no column {', '.join(lacking)}.")
    for column, values in dict(options.get("without", {})).items():
        published = published.filter(~pl.col(column).is_in(values))
    published = published.select(pl.col(theirs).alias(ours) for ours, theirs in columns.items())
    for column, codes in dict(options.get("recode", {})).items():
        published = published.with_columns(pl.col(column).cast(pl.String).replace(codes))
    numbers = [name for name in ("mean", "sd", "low", "high") if name in columns]
    keys = [name for name in columns if name not in numbers]
    ours = table.with_columns(pl.col(name) * unit for name in ("mean", "sd", "low", "high")).with_columns(
        pl.col(name).cast(pl.String) for name in keys
    )
    joined = published.with_columns(pl.col(name).cast(pl.String) for name in keys).join(
        ours.select(*keys, *numbers), on=keys, how="left", suffix="_ours"
    )
    close = pl.all_horizontal(
        ((pl.col(name) - pl.col(f"{name}_ours")).abs() < 1e-6).fill_null(value=False) for name in numbers
    )
    differing = joined.filter(~close)
    answer = Answer(
        question="Are the published statistics those of the runs?",
        about=str(options["published"]).rpartition("/")[2],
        measure=f"rows whose {', '.join(numbers)} agree with ours to six digits, of {published.height}",
        value=float(joined.filter(close).height),
        printed=float(published.height),
        decimals=0,
        note="" if differing.is_empty() else f"the first that differs: {differing.select(keys).row(0)}",
    )
    return answer, differing
