"""The page of imported results: questions, answers with intervals, figures; every table beside it as a file."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from crosslift.files import replacing, write_text
from crosslift.importing.answer import Analysed, as_table
from crosslift.importing.figures import figures
from crosslift.importing.mapping import Import
from crosslift.importing.results import Results
from crosslift.reporting import theme
from crosslift.reporting.report import bundle, draw, for_script


def write_page(folder: Path, mapping: Import, results: Results, analysed: list[Analysed]) -> Path:
    """answers.csv, tables/*.csv, figures/*.svg and index.html, which is written last."""
    import jinja2

    answers = as_table(analysed)
    with replacing(folder / "answers.csv", durable=False) as path:
        answers.write_csv(path)
    tables = []
    for number, one in enumerate(analysed):
        for name, table in one.tables.items():
            file = folder / "tables" / f"{one.kind}-{number}-{name}.csv"
            file.parent.mkdir(parents=True, exist_ok=True)
            with replacing(file, durable=False) as path:
                _flat(table).write_csv(path)
            tables.append(
                {"file": f"tables/{file.name}", "name": f"{one.kind}: {name.replace('_', ' ')}", "rows": table.height}
            )
    drawn = [draw(figure) for figure in figures(analysed)]
    for picture in drawn:
        if picture.svg is not None:
            write_text(folder / "figures" / f"{picture.figure.name}.svg", picture.svg, durable=False)
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [jinja2.PackageLoader("crosslift.importing"), jinja2.PackageLoader("crosslift.reporting")]
        ),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    not_reproduced = answers.filter(~pl.col("reproduces").fill_null(value=True))
    page = environment.get_template("results.html.jinja").render(
        mapping=mapping,
        results=results,
        answers=[_row(row) for row in answers.iter_rows(named=True)],
        not_reproduced=[_row(row) for row in not_reproduced.iter_rows(named=True)],
        num_languages=results.cells["language"].n_unique(),
        drawn=drawn,
        tables=tables,
        light=theme.LIGHT,
        dark=theme.DARK,
        payload=for_script(
            {
                "specs": {one.figure.name: one.spec for one in drawn if one.spec is not None},
                "themes": {"light": theme.config(theme.LIGHT), "dark": theme.config(theme.DARK)},
            }
        ),
        bundle=bundle() if drawn else "",
    )
    write_text(folder / "index.html", page, durable=False)
    return folder / "index.html"


def _flat(table: pl.DataFrame) -> pl.DataFrame:
    lists = [name for name, kind in table.schema.items() if isinstance(kind, pl.List)]
    return table.with_columns(pl.col(name).map_elements(json.dumps, return_dtype=pl.String) for name in lists)


def _row(row: dict[str, object]) -> dict[str, object]:
    return row | {name: _number(row[name]) for name in ("value", "low", "high", "printed")}


def _number(value: object) -> str:
    if not isinstance(value, (int, float)):
        return ""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
