"""The page of questions and answers: answers with intervals, figures, and every table as a file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from crosslift.reporting.figure import Figure
from crosslift.reporting.html import theme
from crosslift.reporting.html.embed import render_figure, script_json, vega_bundle
from crosslift.reporting.html.templates import environment
from crosslift.reporting.questions.figures import figures
from crosslift.system.files import write_text
from crosslift.transfer.answers import Analysis, answer_table
from crosslift.untrusted.csv_file import write_csv


@dataclass(frozen=True, kw_only=True)
class PageHeader:
    """The header of the page."""

    eyebrow: str
    """Kind of page, above the title."""
    title: str
    question: str
    """Research question."""
    facts: Sequence[tuple[str, str]]
    """(number, label) pairs."""
    files: Sequence[tuple[str, str]]
    """(path relative to the page, content) pairs."""
    runs_file: str
    """Path of the table of runs, relative to the page."""
    sections: Sequence[tuple[str, Sequence[str]]] = ()
    """(title, one sentence per line) of further sections, before the answers."""


def write_page(
    folder: Path,
    head: PageHeader,
    analysed: list[Analysis],
    *,
    drawings: Sequence[Figure] | None = None,
    template: str = "questions.html.jinja",
    values: Mapping[str, Any] | None = None,
) -> Path:
    """Write answers.csv, tables/*.csv, figures/*.svg and, last, index.html.

    Args:
        folder: of the page.
        head: its header.
        analysed: the analyses with their answers and tables.
        drawings: figures of the page; by default those of the answers and tables.
        template: of the page, which extends that of questions.
        values: further values of the template.

    Returns:
        The path of the page.
    """
    answers = answer_table(analysed)
    write_csv(folder / "answers.csv", answers)
    drawn = [render_figure(figure) for figure in (figures(analysed) if drawings is None else drawings)]
    for picture in drawn:
        file = folder / "figures" / f"{picture.figure.name}.svg"
        if picture.svg is None:  # remove the file of an earlier page
            file.unlink(missing_ok=True)
        else:
            write_text(file, picture.svg, durable=False)
    not_reproduced = answers.filter(~pl.col("reproduces").fill_null(value=True))
    page = (
        environment()
        .get_template(template)
        .render(
            **(values or {}),
            head=head,
            answers=[_row(row) for row in answers.iter_rows(named=True)],
            not_reproduced=[_row(row) for row in not_reproduced.iter_rows(named=True)],
            drawn=drawn,
            figures={one.figure.name: one for one in drawn},
            tables=_tables(folder, analysed),
            light=theme.LIGHT,
            dark=theme.DARK,
            payload=script_json(
                {
                    "specs": {one.figure.name: one.spec for one in drawn if one.spec is not None},
                    "themes": {"light": theme.vega_config(theme.LIGHT), "dark": theme.vega_config(theme.DARK)},
                }
            ),
            bundle=vega_bundle() if any(one.spec for one in drawn) else "",
        )
    )
    write_text(folder / "index.html", page, durable=False)
    return folder / "index.html"


def _tables(folder: Path, analysed: list[Analysis]) -> list[dict[str, object]]:
    """Write all tables, and return the links of the page."""
    said: list[dict[str, object]] = []
    for number, one in enumerate(analysed):
        for name, table in one.tables.items():
            file = folder / "tables" / f"{one.kind}-{number}-{name}.csv"
            write_csv(file, _flat(table))
            said.append(
                {"file": f"tables/{file.name}", "name": f"{one.kind}: {name.replace('_', ' ')}", "rows": table.height}
            )
    return said


def _flat(table: pl.DataFrame) -> pl.DataFrame:
    lists = [name for name, kind in table.schema.items() if isinstance(kind, pl.List)]
    return table.with_columns(
        pl.col(name).map_elements(lambda one: json.dumps(list(one)), return_dtype=pl.String) for name in lists
    )


def _row(row: dict[str, object]) -> dict[str, object]:
    return row | {name: _number(row[name]) for name in ("value", "low", "high", "printed")}


def _number(value: object) -> str:
    if not isinstance(value, (int, float)):
        return ""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
