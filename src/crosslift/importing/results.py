"""Results from elsewhere in crosslift's own tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from crosslift import __version__
from crosslift.discover import member
from crosslift.errors import TransferError, UnknownName
from crosslift.files import atomic_write, write_json
from crosslift.fingerprint import fingerprint_file
from crosslift.importing.mapping import CELL_COLUMNS, RUN_COLUMNS, Import
from crosslift.languages.tags import standard
from crosslift.scores import CELLS, RUNS, SCORES

TEXTS = ("run", "model", "mixture", "setting", "trained", "evaluation", "task", "metric", "language", "item", "cluster")
NUMBERS = {"seed": pl.Int64, "num_parameters": pl.Int64, "dose": pl.Int64, "amount": pl.Int64, "value": pl.Float64,
           "num_items": pl.Int64, "standard_error": pl.Float64}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Results:
    """What was read. `scores` is empty where the source knows no items."""

    runs: pl.DataFrame  # scores.RUNS
    cells: pl.DataFrame  # scores.CELLS
    scores: pl.DataFrame  # scores.SCORES

    def table(self) -> pl.DataFrame:
        """The cells with what is known of their runs, one row per run x evaluation x metric x language.

        `num_items` are the items behind a score; what a run was trained on per language is called `amounts` here.
        """
        return self.cells.join(
            self.runs.rename({"num_items": "amounts"}), on="run", how="left", maintain_order="left", validate="m:1"
        )


def read(mapping: Import) -> Results:
    """Read the source of a mapping.

    Raises:
        TransferError: files or columns are missing, values are no numbers, a cell stands twice, or two rows tell
            different things of one run. All problems of one kind are named at once.
    """
    return assemble(mapping, member("format", mapping.format).read(mapping))


def assemble(mapping: Import, raw: pl.DataFrame) -> Results:
    """Runs, cells and scores from a table in their source's columns."""
    table = _ours(mapping, _kept(mapping, raw))
    items = "item" in table.columns
    runs = _runs(mapping, table)
    key = ["run", "evaluation", "metric", "language"]
    twice = table.filter(pl.struct(*key, *(["item"] if items else [])).is_duplicated())
    if not twice.is_empty():
        row = twice.row(0, named=True)
        raise TransferError(
            f"{mapping.name}: {twice.height} rows tell of the same cell, the first of "
            f"{row['run']} in {row['language']} ({row['metric']}). Name what tells them apart in columns.run, "
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


def write(folder: Path, mapping: Import, results: Results) -> None:
    """Tables and where they are from."""
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


def _kept(mapping: Import, raw: pl.DataFrame) -> pl.DataFrame:
    named = {*_named(mapping.columns.values()), *mapping.where, *mapping.without}
    if lacking := sorted(named - set(raw.columns)):
        raise TransferError(
            f"{mapping.path.name} has no column {', '.join(lacking)}. It has: {', '.join(raw.columns)}."
        )
    for column, values in mapping.where.items():
        raw = raw.filter(pl.col(column).is_in(pl.Series(values).cast(raw.schema[column]).implode()))
    for column, values in mapping.without.items():
        raw = raw.filter(~pl.col(column).is_in(pl.Series(values).cast(raw.schema[column]).implode()))
    if raw.is_empty():
        raise TransferError(f"{mapping.path.name}: source.where and source.without leave no row.")
    return raw


def _named(columns: Any) -> list[str]:
    """The source's columns that the mapping speaks of."""
    return [name for text in columns for name in (re.findall(r"\{(\w+)\}", text) if "{" in text else [text])]


def _ours(mapping: Import, raw: pl.DataFrame) -> pl.DataFrame:
    made = []
    for name, text in mapping.columns.items():
        made.append((_filled(text) if "{" in text else pl.col(text)).alias(name))
    made += [pl.lit(value).alias(name) for name, value in mapping.constants.items()]
    table = raw.select(*made)
    for name, codes in mapping.recode.items():
        table = table.with_columns(pl.col(name).cast(pl.String).replace(codes))
    table = table.with_columns(pl.col(name).cast(pl.String) for name in table.columns if name in TEXTS)
    try:
        table = table.with_columns(pl.col(name).cast(kind) for name, kind in NUMBERS.items() if name in table.columns)
    except pl.exceptions.InvalidOperationError as error:
        raise TransferError(f"{mapping.path.name}: not all values are numbers: {error}") from error
    missing = {"evaluation": pl.col("task"), "metric": pl.lit("score")}
    table = table.with_columns(expression.alias(name) for name, expression in missing.items() if name not in table)
    empty = [name for name in CELL_COLUMNS[5:7] if name not in table.columns]
    table = table.with_columns(*(pl.lit(None).alias(name) for name in empty), value=pl.col("value") / mapping.unit)
    tags = _tags(mapping, table["language"].unique().to_list())
    return table.with_columns(pl.col("language").replace(tags))


def _filled(text: str) -> pl.Expr:
    parts = re.split(r"\{(\w+)\}", text)
    return pl.format("{}".join(parts[::2]), *(pl.col(name).cast(pl.String).fill_null("") for name in parts[1::2]))


def _tags(mapping: Import, codes: list[str]) -> dict[str, str]:
    found, problems = {}, []
    for code in codes:
        try:
            found[code] = standard(code)
        except UnknownName as error:
            problems.append(str(error))
    if problems:
        raise TransferError(f"{mapping.name}: " + "\n".join(problems))
    return found


def _runs(mapping: Import, table: pl.DataFrame) -> pl.DataFrame:
    known = [name for name in RUN_COLUMNS if name in table.columns]
    runs = table.select(known).unique(maintain_order=True)
    if (twice := runs.filter(pl.col("run").is_duplicated())).height:
        name = twice["run"][0]
        facts = [column for column in known if twice.filter(run=name)[column].n_unique() > 1]
        raise TransferError(
            f"{mapping.name}: rows of the run '{name}' differ in {', '.join(facts)}. A run is one model trained once: "
            'name it by more columns, as in run = "{model} {mixture}".'
        )
    trained = [
        [] if not text else [*dict.fromkeys(standard(mapping.recode.get("trained", {}).get(code, code)) for code in
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
