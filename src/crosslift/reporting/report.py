"""The report of a study: one HTML page without external resources, and every number and figure as a file.

    report/index.html            the page with all charts, styles and scripts
    report/estimates.parquet     every estimate
    report/tables/*.csv
    report/figures/*.svg, *.png

Each chart is in the page twice: as a static image, for print and without scripts, and as an interactive chart that
replaces the image if scripts run and follows the reader's theme.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosslift.reporting import sentences
from crosslift.reporting.data import ReportData
from crosslift.reporting.figures.registry import DESIGN_FIGURES, FIGURES
from crosslift.reporting.html import theme
from crosslift.reporting.html.embed import RenderedFigure, add_white_background, render_figure, script_json, vega_bundle
from crosslift.reporting.html.glossary import glossary
from crosslift.reporting.html.templates import environment
from crosslift.reporting.papers import tables as paper_tables
from crosslift.reporting.papers.registry import PAPER_FIGURES
from crosslift.reporting.tables import frames, grids, units
from crosslift.reporting.tables.explorations import exploration_grid
from crosslift.system.files import atomic_write, write_text
from crosslift.untrusted.csv_file import write_csv

if TYPE_CHECKING:
    import polars as pl


PNG_SCALE = 1.5
"""Pixels per unit of the SVG."""


def publish(data: ReportData, folder: Path) -> Path:
    """Write all files of a report into a folder; the page is written last.

    Returns:
        The path of the page.
    """
    import vl_convert

    _write_parquet(folder / "estimates.parquet", data.estimates)
    for make in (*frames.TABLES, frames.reviews, units.own_units, *paper_tables.PAPER_TABLES):
        table, file = make(data), folder / "tables" / f"{make.__name__}.csv"
        if not table.columns:  # does not apply to this study
            file.unlink(missing_ok=True)
            continue
        write_csv(file, table)
    drawn = [render_figure(make(data)) for make in (*FIGURES, *PAPER_FIGURES, *DESIGN_FIGURES)]
    for one in drawn:
        picture = folder / "figures" / f"{one.figure.name}.svg"
        if one.svg is None:  # remove the file of an earlier report
            picture.unlink(missing_ok=True)
            picture.with_suffix(".png").unlink(missing_ok=True)
            continue
        write_text(picture, one.svg, durable=False)
        with atomic_write(picture.with_suffix(".png"), durable=False) as path:
            path.write_bytes(vl_convert.svg_to_png(add_white_background(one.svg), scale=PNG_SCALE))
    page = folder / "index.html"
    write_text(page, render(data, drawn), durable=False)
    return page


def render(data: ReportData, drawn: list[RenderedFigure]) -> str:
    """Render the page. All text from models and study files is escaped.

    Args:
        data: the report's data.
        drawn: the rendered figures, in the order of FIGURES, PAPER_FIGURES and DESIGN_FIGURES.
    """
    conclusions = sentences.conclusions(data)
    return (
        environment()
        .get_template("report.html.jinja")
        .render(
            data=data,
            study=data.study,
            conclusions=conclusions,
            strip=_strip_axis(conclusions),
            headline=sentences.headline(conclusions),
            failures=sentences.failures(data),
            unfinished=sentences.unfinished(data),
            unrated=sentences.unrated(data),
            confounds=sentences.confounds(data),
            facts=_facts(data),
            figures={one.figure.name: one for one in drawn},
            undrawn=_undrawn(drawn[: len(FIGURES)]),
            grids=grids,
            exploration=exploration_grid(data),
            units=units,
            papers=paper_tables.grids(data),
            paper_figures=[one.figure.name for one in drawn[len(FIGURES) :][: len(PAPER_FIGURES)] if one.svg],
            samples=_samples(data),
            terms=glossary(),
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


def _undrawn(drawn: list[RenderedFigure]) -> str:
    """Titles and reasons of the figures that are not drawn, in one sentence; empty if all are."""
    parts = [
        f"{one.figure.title} ({one.figure.caption.removeprefix('Not drawn: ').rstrip('.')})"
        for one in drawn
        if one.svg is None
    ]
    return "; ".join(parts) + "." if parts else ""


def _facts(data: ReportData) -> list[tuple[str, str]]:
    items = data.scores.group_by("evaluation").agg(items=data.scores["item_id"].unique().len())
    num_answers = data.scores.unique(["run", "evaluation", "sample_id"]).height
    per_evaluation = data.scores.unique(["evaluation", "item_id"]).height // max(items.height, 1)
    return [
        (
            f"{data.finished.height:,}",
            "runs" if data.finished.height == data.runs.height else f"of {data.runs.height} runs",
        ),
        (str(len(data.models)), "model" if len(data.models) == 1 else "models"),
        (str(sum(name != "base" for name in data.mixtures)), "mixtures"),
        (str(len(data.study.seeds)), "seed" if len(data.study.seeds) == 1 else "seeds"),
        (str(len(data.languages)), "languages"),
        (f"{per_evaluation:,}", "test items"),
        (f"{num_answers:,}", "answers"),
    ]


def _strip_axis(found: list[sentences.Conclusion]) -> dict[str, float]:
    """Common axis of the small intervals beside the conclusions, in the unit of the scores."""
    rows = [answer.row for answer in found if answer.row["low"] is not None]
    low = min([0.0, *(row["low"] for row in rows)])
    high = max([0.0, *(row["high"] for row in rows)])
    margin = 0.06 * (high - low) or 0.01
    return {"low": low - margin, "span": high - low + 2 * margin}


def _samples(data: ReportData) -> dict[str, list[dict[str, Any]]]:
    """Run -> its sample answers, languages in the order of the page."""
    place = {one.tag: (number, one) for number, one in enumerate(data.languages)}
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in data.samples.iter_rows(named=True):
        rows.setdefault(row["run"], []).append(row | {"name": place[row["language"]][1].name})
    for part in rows.values():
        part.sort(key=lambda row: (row["evaluation"], place[row["language"]][0]))
    return {run: rows[run] for run in data.runs["run"] if run in rows}


def _write_parquet(path: Path, table: pl.DataFrame) -> None:
    with atomic_write(path) as temporary:
        table.rechunk().write_parquet(temporary, compression="zstd")
