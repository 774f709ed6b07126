"""Imported results in crosslift's tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from crosslift import __version__
from crosslift.discover import member
from crosslift.errors import TransferError, UnknownName
from crosslift.fingerprint import fingerprint_file
from crosslift.importing.mapping import RUN_COLUMNS, ImportMapping
from crosslift.languages.tags import standardize
from crosslift.scores import CELLS, RUNS, SCORES
from crosslift.system.files import atomic_write, write_json

TEXT_COLUMNS = (
    "run",
    "model",
    "mixture",
    "setting",
    "trained",
    "evaluation",
    "task",
    "metric",
    "language",
    "item",
    "cluster",
)
"""Columns that are cast to text."""
NUMERIC_COLUMNS = {"seed": pl.Int64, "num_parameters": pl.Int64, "dose": pl.Int64, "amount": pl.Int64,
                   "value": pl.Float64, "num_items": pl.Int64, "standard_error": pl.Float64}  # fmt: skip
"""Column -> type of the columns that are cast to numbers."""


@dataclass(frozen=True, kw_only=True)
class Results:
    """Imported results. `scores` is empty if the source has no scores of single items."""

    runs: pl.DataFrame
    """Columns as in `crosslift.scores.RUNS`."""
    cells: pl.DataFrame
    """Columns as in `crosslift.scores.CELLS`."""
    scores: pl.DataFrame
    """Columns as in `crosslift.scores.SCORES`."""

    def table(self) -> pl.DataFrame:
        """The cells joined with their runs, one row per run x evaluation x metric x language.

        `num_items` is the number of evaluation items behind a score; the training items per language are called
        `amounts` here.
        """
        return self.cells.join(
            self.runs.rename({"num_items": "amounts"}), on="run", how="left", maintain_order="left", validate="m:1"
        )


def read_results(mapping: ImportMapping) -> Results:
    """Read the source of a mapping.

    Raises:
        TransferError: files or columns are missing, values are not numeric, a cell has several rows, or rows of one run
            contradict each other. All problems of one kind are listed.
    """
    return assemble(mapping, member("format", mapping.format).read(mapping))


def assemble(mapping: ImportMapping, raw: pl.DataFrame) -> Results:
    """Build runs, cells and scores from a table with the source's columns.

    Args:
        mapping: the mapping.
        raw: one score per row.

    Raises:
        TransferError: as in `read_results`.
    """
    table = _standard_columns(mapping, _filter_rows(mapping, raw))
    items = "item" in table.columns
    runs = _runs(mapping, table)
    key = ["run", "evaluation", "metric", "language"]
    twice = table.filter(pl.struct(*key, *(["item"] if items else [])).is_duplicated())
    if not twice.is_empty():
        row = twice.row(0, named=True)
        raise TransferError(
            f"{mapping.name}: {twice.height} rows are of the same cell, the first of "
            f"{row['run']} in {row['language']} ({row['metric']}). Add a column that distinguishes them to "
            "columns.run, "
            "columns.evaluation or columns.metric."
        )
    if not items:
        cells = table.select(pl.col(name).cast(kind) for name, kind in CELLS.items())
        return Results(runs=runs, cells=cells, scores=pl.DataFrame(schema=SCORES))
    scores = table.with_columns(
        item_id="item",
        sample_id=pl.concat_str("item", "language", separator="."),
        cluster=pl.col("cluster").fill_null(pl.col("item")) if "cluster" in table.columns else pl.col("item"),
        status=pl.when(pl.col("value").is_null()).then(pl.lit("error")).otherwise(pl.lit("scored")),
    ).select(pl.col(name).cast(kind) for name, kind in SCORES.items())
    cells = (
        table.group_by("run", "evaluation", "task", "metric", "language", maintain_order=True)
        .agg(pl.col("value").mean(), num_items=pl.col("value").count(), standard_error=pl.lit(None))
        .select(pl.col(name).cast(kind) for name, kind in CELLS.items())
    )
    return Results(runs=runs, cells=cells, scores=scores)


def write_results(folder: Path, mapping: ImportMapping, results: Results) -> None:
    """Write the tables as Parquet files, and `manifest.json` with the provenance."""
    for name, table in (("runs", results.runs), ("cells", results.cells), ("scores", results.scores)):
        if name != "scores" or not table.is_empty():
            with atomic_write(folder / f"{name}.parquet", durable=False) as temporary:
                table.write_parquet(temporary)
    sources = [path for path in (mapping.path, *(mapping.join or ())[:1]) if isinstance(path, Path) and path.is_file()]
    manifest = {
        "name": mapping.name,
        "licence": mapping.licence,
        "sources": {path.name: fingerprint_file(path) for path in sources},
        "crosslift": __version__,
        "num_runs": results.runs.height,
        "num_cells": results.cells.height,
        "num_scores": results.scores.height,
    }
    write_json(folder / "manifest.json", manifest)


def _filter_rows(mapping: ImportMapping, raw: pl.DataFrame) -> pl.DataFrame:
    named = {*_referenced_columns(mapping.columns.values()), *mapping.where, *mapping.without}
    if lacking := sorted(named - set(raw.columns)):
        raise TransferError(
            f"{mapping.path.name} has no column {', '.join(lacking)}. It has: {', '.join(raw.columns)}."
        )
    for column, values in mapping.where.items():
        raw = raw.filter(pl.col(column).is_in(pl.Series(values).cast(raw.schema[column]).implode()))
    for column, values in mapping.without.items():
        raw = raw.filter(~pl.col(column).is_in(pl.Series(values).cast(raw.schema[column]).implode()))
    if raw.is_empty():
        raise TransferError(f"{mapping.path.name}: source.where and source.without remove all rows.")
    return raw


def _referenced_columns(columns: Any) -> list[str]:
    """The source's columns that a mapping refers to."""
    return [name for text in columns for name in (re.findall(r"\{(\w+)\}", text) if "{" in text else [text])]


def _standard_columns(mapping: ImportMapping, raw: pl.DataFrame) -> pl.DataFrame:
    made = []
    for name, text in mapping.columns.items():
        made.append((_format_expression(text) if "{" in text else pl.col(text)).alias(name))
    made += [pl.lit(value).alias(name) for name, value in mapping.constants.items()]
    table = raw.select(*made)
    for name, codes in mapping.recode.items():
        table = table.with_columns(pl.col(name).cast(pl.String).replace(codes))
    table = table.with_columns(pl.col(name).cast(pl.String) for name in table.columns if name in TEXT_COLUMNS)
    try:
        table = table.with_columns(
            pl.col(name).cast(kind) for name, kind in NUMERIC_COLUMNS.items() if name in table.columns
        )
    except pl.exceptions.InvalidOperationError as error:
        raise TransferError(f"{mapping.path.name}: not all values are numbers: {error}") from error
    missing = {"evaluation": pl.col("task"), "metric": pl.lit("score")}
    table = table.with_columns(expression.alias(name) for name, expression in missing.items() if name not in table)
    empty = [name for name in ("num_items", "standard_error") if name not in table.columns]
    table = table.with_columns(*(pl.lit(None).alias(name) for name in empty), value=pl.col("value") / mapping.unit)
    tags = _language_tags(mapping, table["language"].unique().to_list())
    return table.with_columns(pl.col("language").replace(tags))


def _format_expression(text: str) -> pl.Expr:
    parts = re.split(r"\{(\w+)\}", text)
    return pl.format("{}".join(parts[::2]), *(pl.col(name).cast(pl.String).fill_null("") for name in parts[1::2]))


def _language_tags(mapping: ImportMapping, codes: list[str]) -> dict[str, str]:
    found, problems = {}, []
    for code in codes:
        try:
            found[code] = standardize(code)
        except UnknownName as error:
            problems.append(str(error))
    if problems:
        raise TransferError(f"{mapping.name}: " + "\n".join(problems))
    return found


def _runs(mapping: ImportMapping, table: pl.DataFrame) -> pl.DataFrame:
    known = [name for name in RUN_COLUMNS if name in table.columns]
    runs = table.select(known).unique(maintain_order=True)
    if (twice := runs.filter(pl.col("run").is_duplicated())).height:
        name = twice["run"][0]
        facts = [column for column in known if twice.filter(run=name)[column].n_unique() > 1]
        raise TransferError(
            f"{mapping.name}: rows of the run '{name}' differ in {', '.join(facts)}. A run is one model trained once: "
            'identify it by more columns, as in run = "{model} {mixture}".'
        )
    trained = [
        [] if not text else [*dict.fromkeys(standardize(mapping.recode.get("trained", {}).get(code, code)) for code in
                                            text.split(mapping.separator) if code.strip())]
        for text in (runs["trained"].to_list() if "trained" in known else [None] * runs.height)
    ]  # fmt: skip
    amounts = runs["amount"].to_list() if "amount" in known else [None] * runs.height
    columns = {
        "run": runs["run"],
        "model": runs["model"] if "model" in known else runs["run"],
        "mixture": runs["mixture"] if "mixture" in known else runs["run"],
        "family": pl.Series([""] * runs.height, dtype=pl.String),
        "setting": runs["setting"] if "setting" in known else pl.Series([""] * runs.height, dtype=pl.String),
        "seed": runs["seed"] if "seed" in known else pl.Series([0] * runs.height),
        "num_parameters": runs["num_parameters"] if "num_parameters" in known else None,
        "languages": pl.Series(trained, dtype=pl.List(pl.String())),
        "num_items": pl.Series(
            [None if amount is None else [amount] * len(tags) for amount, tags in zip(amounts, trained, strict=True)],
            dtype=pl.List(pl.Int64()),
        ),
        "num_tokens": pl.Series([None] * runs.height, dtype=pl.List(pl.Int64())),
        "dose": runs["dose"] if "dose" in known else None,
    }
    return pl.DataFrame(columns).select(pl.col(name).cast(kind) for name, kind in RUNS.items())
