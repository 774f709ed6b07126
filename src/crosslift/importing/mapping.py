"""A mapping describes where results are stored and what their columns mean. It is a TOML file and also lists the
analyses.

name = "mathoctopus"
licence = "none stated"

[source]
format = "table"                      # or "lm_eval", "inspect"
path = "results/scores.csv"           # relative to --data, else to this file
where = { task = ["mgsm"] }           # rows that are kept
join = { path = "runs.csv", on = "run" }
unit = 100                            # values are divided by it
pattern = "mgsm_(?P<language>\\w+)"    # lm_eval and inspect: named groups in names of tasks
separator = " "                       # between the codes in `trained`

[columns]                             # our column = column of the source, or a template with {columns}
run = "{model_group} {system}"
language = "lang"
value = "score"
trained = "train_langs"               # training languages

[constants]                           # our column = value for all rows
task = "math"

[recode.language]                     # code of the source = our code, for any column
jp = "ja"

[[analyses]]
kind = "pairs"                        # a module of importing/analyses, with its options
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ConfigDict, Field, TypeAdapter

from crosslift.discover import member, members
from crosslift.errors import StudyError
from crosslift.studies.parsing.problems import Problems
from crosslift.studies.parsing.schema.values import Real, Table, Text
from crosslift.studies.parsing.toml_file import read_toml

RUN_COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "run": "name of the run; rows of one run describe the same training",
        "model": "name of the base model",
        "mixture": "name of the training mixture",
        "setting": "tasks that the run was trained on",
        "seed": "training seed",
        "num_parameters": "parameters of the model",
        "trained": "tags of the training languages in one text, separated by source.separator",
        "dose": "items per language other than the fixed ones",
        "amount": "items per training language",
    }
)
"""Columns of a run, and what they hold."""
CELL_COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "evaluation": "name of the evaluation; default: the task",
        "task": "task of the evaluation",
        "metric": "name of the metric",
        "language": "language tag of the evaluation; other codes are converted by [recode.language]",
        "value": "score, divided by source.unit",
        "num_items": "items behind a mean",
        "standard_error": "standard error of a mean over items",
        "item": "id of the item, equal in all languages; without it, every row is a mean",
        "cluster": "dialogue or document whose items depend on each other",
    }
)
"""Columns of a cell, a score with its evaluation, language and, optionally, item, and what they hold."""
COLUMNS: Mapping[str, str] = MappingProxyType({**RUN_COLUMNS, **CELL_COLUMNS})
"""All columns of an import."""
REQUIRED_COLUMNS = ("run", "task", "language", "value")
"""Columns that a mapping must define for the format "table"."""
MIN_UNIT = 1e-12
"""Smallest unit by which values may be divided."""


@dataclass(frozen=True, kw_only=True)
class ImportMapping:
    """A parsed mapping with resolved paths; see the module's docstring for its keys."""

    name: str
    question: str
    licence: str
    format: str
    root: Path
    """Folder that paths of the mapping are relative to."""
    path: Path
    """File or folder of the results."""
    where: dict[str, list[Any]]
    """Column -> values of the rows that are kept."""
    without: dict[str, list[Any]]
    """Column -> values of the rows that are removed."""
    join: tuple[Path, str] | None
    """A second table of facts about runs, and the column to join on."""
    unit: float
    """Values are divided by it."""
    separator: str
    """Separator of the codes in the column `trained`."""
    pattern: str | None
    """Regular expression with named groups for names of tasks."""
    columns: dict[str, str]
    """Our column -> column of the source, or a template with {columns}."""
    constants: dict[str, Any]
    """Our column -> value for all rows."""
    recode: dict[str, dict[str, str]]
    """Our column -> (code of the source -> our code)."""
    analyses: tuple[dict[str, Any], ...]
    """One table of options per analysis, with its `kind`."""


class JoinTable(Table):
    path: Text = Field(description="a further table, for example of runs")
    on: Text = Field(description="the column that both tables have")


class SourceTable(Table):
    format: Text = Field("table", description='"table" (CSV, TSV, Parquet), "lm_eval" or "inspect"')
    path: Text = Field(description="file or folder, below --data or else below this file")
    where: dict[str, list[str | int | float | bool]] = Field(
        default_factory=dict, description="column -> values; other rows are left out"
    )
    without: dict[str, list[str | int | float | bool]] = Field(
        default_factory=dict, description="column -> values; these rows are left out"
    )
    join: JoinTable | None = Field(None, description="columns from a further table")
    unit: Real = Field(1.0, description="values are divided by it: 100 where scores are in percent")
    separator: Text = Field(",", description="between the languages in the column of `trained`")
    pattern: Text | None = Field(
        None, description="lm_eval, inspect: regular expression with named groups for task names"
    )


class AnalysisTable(Table):
    model_config = ConfigDict(extra="allow", strict=True)  # further keys belong to the analysis

    kind: Text = Field(description="an analysis; further keys are its own")


class ImportTable(Table):
    name: Text
    question: str = ""
    licence: str = Field("", description="of the results")
    source: SourceTable
    columns: dict[str, Text] = Field(
        default_factory=dict, description="our column -> theirs; {braces} are filled in row by row"
    )
    constants: dict[str, str | int | float] = Field(
        default_factory=dict, description="our column -> one value for all rows"
    )
    recode: dict[str, dict[str, str]] = Field(
        default_factory=dict, description="our column -> their value -> ours, such as language codes"
    )
    analyses: list[AnalysisTable] = Field(default_factory=list)


def load_import(path: Path, *, data: Path | None = None) -> ImportMapping:
    """Read and check a mapping.

    Args:
        path: the TOML file.
        data: folder that paths of the mapping are relative to; by default the mapping's own folder.

    Raises:
        StudyError: with every problem found.
    """
    problems = Problems(path.name)
    raw = read_toml(path, remedy="Correct the path.")
    table = problems.read(ImportTable, raw, "", TypeAdapter(ImportTable))
    if table is not None:
        _check(table, problems)
    if problems or table is None:
        raise StudyError(problems)
    root = path.parent if data is None else data
    source = table.source
    return ImportMapping(
        name=table.name,
        question=table.question,
        licence=table.licence,
        format=source.format,
        root=root,
        path=root / source.path,
        where=dict(source.where),
        without=dict(source.without),
        join=None if source.join is None else (root / source.join.path, source.join.on),
        unit=source.unit,
        separator=source.separator,
        pattern=source.pattern,
        columns=dict(table.columns),
        constants=dict(table.constants),
        recode={column: dict(codes) for column, codes in table.recode.items()},
        analyses=tuple({"kind": one.kind} | dict(one.model_extra or {}) for one in table.analyses),
    )


def _check(table: ImportTable, problems: Problems) -> None:
    if not MIN_UNIT <= table.source.unit <= 1 / MIN_UNIT:
        problems.add("source.unit", f"is {table.source.unit:g}: values are divided by it. Use 1 or 100.")
    problems.reference("source.format", "format", table.source.format, members("format"))
    for place, given in (("columns", table.columns), ("constants", table.constants)):
        for column in given:
            problems.reference(f"{place}.{column}", "column", column, COLUMNS)
    if twice := sorted(table.columns.keys() & table.constants.keys()):
        problems.add("constants", f"'{twice[0]}' is also in columns. Remove one of them.")
    lacking = [name for name in REQUIRED_COLUMNS if name not in table.columns and name not in table.constants]
    if lacking:
        problems.add(
            "columns",
            f"lacks {', '.join(lacking)}. Map them to columns of the source{_source_columns(table.source)}, or add "
            "them to constants.",
        )
    for number, one in enumerate(table.analyses):
        problems.reference(f"analyses[{number}].kind", "analysis", one.kind, members("analysis"))


def _source_columns(source: SourceTable) -> str:
    """Return the columns of a format in parentheses; empty if it is unknown or has those of a file."""
    names: tuple[str, ...] = ()
    if source.format in members("format"):
        names = member("format", source.format).COLUMNS
    return f" ({', '.join(names)}, and the named groups of source.pattern)" if names else ""
