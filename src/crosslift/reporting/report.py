"""The report of a study: one page that needs no network, and beside it every number and figure as a file.

    report/index.html            the page: charts, styles and scripts are inside
    report/estimates.parquet     every estimate
    report/tables/*.csv
    report/figures/*.svg, *.png

Charts are there twice. The page shows the still picture at once, on paper and without scripts; where scripts run, it is
replaced by the same chart that answers the pointer and follows the reader's theme.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crosslift.files import replacing, write_text
from crosslift.reporting import sentences as answers
from crosslift.reporting.data import ReportData, collect
from crosslift.reporting.figures.panels import Figure
from crosslift.reporting.figures.study import FIGURES
from crosslift.reporting.html import theme
from crosslift.reporting.papers import tables as papers
from crosslift.reporting.papers.figures import PAPER_FIGURES
from crosslift.reporting.tables import frames as tables
from crosslift.reporting.tables import grids as views
from crosslift.studies.study import Study

if TYPE_CHECKING:
    import polars as pl

    from crosslift.execution.folder.store import Store

PNG_SCALE = 1.5


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A figure as files and as a specification for the page; all None where it is not drawn."""

    figure: Figure
    spec: dict[str, Any] | None = None
    svg: str | None = None

    @property
    def still(self) -> str:
        """The picture as a data address: apart from the page, so that the ids inside cannot collide."""
        return "data:image/svg+xml;base64," + base64.b64encode((self.svg or "").encode()).decode()


def write(store: Store, study: Study) -> Path:
    """Estimate, tabulate, draw and write the report; returns the page.

    Raises:
        StoreError: the study has not been prepared.
        TransferError: its scores contradict themselves.
    """
    return publish(collect(store, study), store.report_folder)


def publish(data: ReportData, folder: Path) -> Path:
    """Write all files of a report into a folder; returns the page, which is written last."""
    import vl_convert

    _write_parquet(folder / "estimates.parquet", data.estimates)
    for make in (*tables.TABLES, *papers.PAPER_TABLES):
        table, file = make(data), folder / "tables" / f"{make.__name__}.csv"
        if not table.columns:  # nothing that this study could say
            file.unlink(missing_ok=True)
            continue
        with replacing(file, durable=False) as path:
            table.write_csv(path)
    drawn = [draw(make(data)) for make in (*FIGURES, *PAPER_FIGURES)]
    for one in drawn:
        picture = folder / "figures" / f"{one.figure.name}.svg"
        if one.svg is None:  # an earlier report may have drawn it
            picture.unlink(missing_ok=True)
            picture.with_suffix(".png").unlink(missing_ok=True)
            continue
        write_text(picture, one.svg, durable=False)
        with replacing(picture.with_suffix(".png"), durable=False) as path:
            path.write_bytes(vl_convert.svg_to_png(_on_white(one.svg), scale=PNG_SCALE))
    page = folder / "index.html"
    write_text(page, render(data, drawn), durable=False)
    return page


def draw(figure: Figure) -> Drawn:
    """Compile a figure for paper: light colours, no descriptions for screen readers inside the picture."""
    import vl_convert

    if figure.chart is None:
        return Drawn(figure=figure)
    spec = figure.spec()
    still = spec | {"config": theme.config(theme.LIGHT) | {"aria": False}}
    return Drawn(figure=figure, spec=spec, svg=_renumbered(vl_convert.vegalite_to_svg(still)))


def _renumbered(svg: str) -> str:
    """Ids counted from 0 in every picture; the renderer counts over all that it drew, so the second report of a process
    would differ from the first."""
    order = list(dict.fromkeys(re.findall(r'id="([a-z]+_?)(\d+)"', svg)))
    for number, (kind, old) in enumerate(order):
        svg = re.sub(rf'(id="|url\(#){kind}{old}(?=["\)])', rf"\g<1>{kind}n{number}", svg)
    return svg


def render(data: ReportData, drawn: list[Drawn]) -> str:
    """The page. Everything that a model or a study file wrote is escaped."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("crosslift.reporting", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    found = answers.answers(data)
    return environment.get_template("report.html.jinja").render(
        data=data,
        study=data.study,
        answers=found,
        strip=_strip(found),
        headline=answers.headline(found),
        failures=answers.failures(data),
        unfinished=answers.unfinished(data),
        confounds=answers.confounds(data),
        facts=_facts(data),
        figures={one.figure.name: one for one in drawn},
        views=views,
        papers=papers.grids(data),
        paper_figures=[one.figure.name for one in drawn[len(FIGURES) :] if one.svg],
        samples=_samples(data),
        light=theme.LIGHT,
        dark=theme.DARK,
        payload=for_script(
            {
                "specs": {one.figure.name: one.spec for one in drawn if one.spec is not None},
                "themes": {"light": theme.config(theme.LIGHT), "dark": theme.config(theme.DARK)},
            }
        ),
        bundle=bundle() if any(one.spec for one in drawn) else "",
    )


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


def _strip(found: list[answers.Answer]) -> dict[str, float]:
    """The common axis of the small intervals beside the answers, in shares of 1."""
    rows = [answer.row for answer in found if answer.row["low"] is not None]
    low = min([0.0, *(row["low"] for row in rows)])
    high = max([0.0, *(row["high"] for row in rows)])
    margin = 0.06 * (high - low) or 0.01
    return {"low": low - margin, "span": high - low + 2 * margin}


def _samples(data: ReportData) -> dict[str, list[dict[str, Any]]]:
    """Run -> its sampled answers, languages in the order of the page."""
    place = {one.tag: (number, one) for number, one in enumerate(data.languages)}
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in data.samples.iter_rows(named=True):
        rows.setdefault(row["run"], []).append(row | {"name": place[row["language"]][1].name})
    for part in rows.values():
        part.sort(key=lambda row: (row["evaluation"], place[row["language"]][0]))
    return {run: rows[run] for run in data.runs["run"] if run in rows}


def for_script(value: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


@cache
def bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one module, from the library that also drew the still pictures."""
    import vl_convert

    return str(vl_convert.javascript_bundle(None)).replace("</script", "<\\/script")  # type: ignore[arg-type]


def _on_white(svg: str) -> str:
    """A PNG is pasted anywhere; transparent ink-on-nothing would vanish on a dark slide."""
    head, _, rest = svg.partition(">")
    return f'{head}><rect width="100%" height="100%" fill="white"/>{rest}'


def _write_parquet(path: Path, table: pl.DataFrame) -> None:
    with replacing(path) as temporary:
        table.rechunk().write_parquet(temporary, compression="zstd")
