"""A mapping says where results lie and what their columns mean: one TOML file, with the questions that they are asked.

name = "mathoctopus"
licence = "none stated"

[source]
format = "table"                      # or "lm_eval", "inspect"
path = "results/scores.csv"           # below --data, else below this file
where = { task = ["mgsm"] }           # rows that are kept
join = { path = "runs.csv", on = "run" }
unit = 100                            # values are divided by it
pattern = "mgsm_(?P<language>\\w+)"    # of lm_eval and inspect: what names of tasks hold
separator = " "                       # between the codes in `trained`

[columns]                             # ours = theirs; a text with {braces} is filled in row by row
run = "{model_group} {system}"
language = "lang"
value = "score"
trained = "train_langs"               # languages trained on

[constants]                           # ours = the same for all rows
task = "math"

[recode.language]                     # theirs = ours, of any column
jp = "ja"

[[analyses]]
kind = "pairs"                        # a module of importing/analyses, with its options
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field, TypeAdapter

from crosslift.discover import members
from crosslift.errors import StudyError
from crosslift.studies.parsing.problems import Problems
from crosslift.studies.parsing.schema import Real, Table, Text
from crosslift.studies.parsing.toml_file import read_toml

RUN_COLUMNS = ("run", "model", "mixture", "setting", "seed", "num_parameters", "trained", "dose", "amount")
"""Of a run. `trained`: codes of languages in one text. `amount`: items per language, one number for each run."""
CELL_COLUMNS = ("evaluation", "task", "metric", "language", "value", "num_items", "standard_error", "item", "cluster")
MIN_UNIT = 1e-12
NEEDED = ("run", "task", "language", "value")


@dataclass(frozen=True, kw_only=True)
class Import:
    """A mapping as read, with its paths resolved."""

    name: str
    question: str
    licence: str
    format: str
    root: Path
    """Where paths of the mapping begin."""
    path: Path
    where: dict[str, list[Any]]
    without: dict[str, list[Any]]
    join: tuple[Path, str] | None
    unit: float
    separator: str
    pattern: str | None
    columns: dict[str, str]
    constants: dict[str, Any]
    recode: dict[str, dict[str, str]]
    analyses: tuple[dict[str, Any], ...]


class JoinTable(Table):
    path: Text
    on: Text


class SourceTable(Table):
    format: Text = "table"
    path: Text = Field(description="file or folder, below --data or else below this file")
    where: dict[str, list[str | int | float | bool]] = Field(default_factory=dict)
    without: dict[str, list[str | int | float | bool]] = Field(default_factory=dict)
    join: JoinTable | None = None
    unit: Real = 1.0
    separator: Text = ","
    pattern: Text | None = None


class AnalysisTable(Table):
    model_config = ConfigDict(extra="allow", strict=True)  # further keys belong to the analysis

    kind: Text


class ImportTable(Table):
    name: Text
    question: str = ""
    licence: str = ""
    source: SourceTable
    columns: dict[str, Text] = Field(default_factory=dict)
    constants: dict[str, str | int | float] = Field(default_factory=dict)
    recode: dict[str, dict[str, str]] = Field(default_factory=dict)
    analyses: list[AnalysisTable] = Field(default_factory=list)


def load_import(path: Path, *, data: Path | None = None) -> Import:
    """Read a mapping.

    Args:
        data: where the source's paths begin; None: the mapping's own folder.

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
    return Import(
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
    known = (*RUN_COLUMNS, *CELL_COLUMNS)
    for place, given in (("columns", table.columns), ("constants", table.constants)):
        for column in given:
            problems.reference(f"{place}.{column}", "column", column, known)
    if twice := sorted(table.columns.keys() & table.constants.keys()):
        problems.add("constants", f"'{twice[0]}' is a column already. Take it out of one of them.")
    lacking = [name for name in NEEDED if name not in table.columns and name not in table.constants]
    if lacking:
        problems.add("columns", f"lacks {', '.join(lacking)}. Say which columns hold them, or put them into constants.")
    for number, one in enumerate(table.analyses):
        problems.reference(f"analyses[{number}].kind", "analysis", one.kind, members("analysis"))
