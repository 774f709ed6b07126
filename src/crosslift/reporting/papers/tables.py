"""Tables of the two papers with our own estimates, and the papers' findings tested on a study.

P1 is arXiv 2604.13286, P2 is arXiv 2504.16677. The data frames are written as CSV; the page shows the grids.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isnan
from typing import Any

import polars as pl

from crosslift.reporting.data import ReportData
from crosslift.reporting.tables.cells import Cell, Grid
from crosslift.reporting.wording import interval_text, points_text, unit_of
from crosslift.transfer.answers import Verdict
from crosslift.transfer.grid import bilingual, doses
from crosslift.transfer.grid import by_number as number_statistics
from crosslift.transfer.grid import zero_shot as zero_shot_statistics
from crosslift.transfer.grid.paper_claims import paper_claims
from crosslift.transfer.grid.regression import regression as regression_table
from crosslift.transfer.variance.between_seeds import between_seed_deviations as between_runs

FINDING_VERDICTS: Mapping[Verdict, str] = {
    "supported": "shown",
    "not supported": "not shown",
    "cannot tell": "cannot tell",
}
"""Verdict on a claim -> text in the table of findings."""


def findings(data: ReportData) -> pl.DataFrame:
    """Each finding of the papers, tested on this study."""
    return pl.DataFrame(
        [
            {
                "claim": found.question,
                "about": found.about,
                "measure": found.measure,
                "value": found.value,
                "low": found.low,
                "high": found.high,
                "verdict": FINDING_VERDICTS[found.verdict],
                "metric": found.metric,
            }
            for found in paper_claims(data.cells)
        ]
    )


def bilingual_wins(data: ReportData) -> pl.DataFrame:
    """P1, Table 2 and Figure 3."""
    return bilingual.bilingual_statistics(data.cells)


def zero_shot(data: ReportData) -> pl.DataFrame:
    """P1, Figures 4 and 9, per cell."""
    return zero_shot_statistics.zero_shot_differences(data.cells)


def by_number(data: ReportData) -> pl.DataFrame:
    """P1, Figure 2."""
    return number_statistics.scores_by_number(data.cells)


def zero_shot_shares(data: ReportData) -> pl.DataFrame:
    """P1, section 4.3."""
    return zero_shot_statistics.count_not_worse(zero_shot(data))


def regression(data: ReportData) -> pl.DataFrame:
    """P1, Table 3."""
    return regression_table(data.cells)


def dose_statistics(data: ReportData) -> pl.DataFrame:
    """P2, Table 2, and its gains."""
    return doses.dose_statistics(data.cells)


def replicates(data: ReportData) -> pl.DataFrame:
    """Run-to-run standard deviation per evaluation and language."""
    return between_runs(data.scores, data.runs, data.primary_metrics)


PAPER_TABLES: tuple[Callable[[ReportData], pl.DataFrame], ...] = (
    findings,
    bilingual_wins,
    by_number,
    zero_shot,
    zero_shot_shares,
    regression,
    dose_statistics,
    replicates,
)
"""All tables of the papers; the name of the function is the file name."""


def grids(data: ReportData) -> dict[str, Grid]:
    """Name -> table of the page, for all tables that are not empty."""
    made = {
        make.__name__.strip("_"): make(data)
        for make in (_findings, _wins, _not_worse, _regression, _doses, _replicates)
    }
    return {name: grid for name, grid in made.items() if grid.rows}


def _range(low: float | None, high: float | None, *, signed: bool = True, metric: str | None = None) -> str:
    if high is None:
        return ""
    return interval_text({"low": low, "high": high, "metric": metric}, signed=signed)


def _number(text: str, css: str = "") -> Cell:
    return Cell(text=text, css=f"number {css}".strip())


def _head(*names: str) -> list[Cell]:
    return [Cell(text=name, css="number" if place else "name") for place, name in enumerate(names)]


def _findings(data: ReportData) -> Grid:
    css = {"shown": "supports", "not shown": "contradicts", "cannot tell": "cannot-tell"}
    found = findings(data)
    if found.is_empty():
        return Grid(title="", head=[], rows=[], csv="")
    rows = [
        [
            Cell(text=row["claim"], note=row["measure"], css="name wrap"),
            Cell(text=row["about"]),
            _number(points_text(row["value"], signed=True, metric=row["metric"]), "strong"),
            _number(_range(row["low"], row["high"], metric=row["metric"])),
            Cell(text=row["verdict"], css=f"verdict {css[row['verdict']]}"),
        ]
        for row in found.iter_rows(named=True)
    ]
    head = [
        Cell(text="finding", css="name"),
        Cell(text="in"),
        *(_number(text) for text in (unit_of(dict.fromkeys(found["metric"])), "95% interval")),
        Cell(text="here"),
    ]
    return Grid(title="The papers' findings, tested on this study", head=head, rows=rows, csv="findings.csv")


def _wins(data: ReportData) -> Grid:
    rows = [
        [
            Cell(
                text=row["group"],
                note=row["evaluation"] if row["evaluation"] != "all" else "all evaluations",
                css="name",
            ),
            _number(f"{row['num_wins']}/{row['num_cells']}"),
            _number(f"{100 * row['share']:.1f} %"),
            _number(_range(row["share_low"], row["share_high"], signed=False)),
            _number(points_text(row["median"], signed=True)),
            _number(_range(row["median_low"], row["median_high"])),
            _number(points_text(row["mean"], signed=True), "strong"),
            _number(_range(row["low"], row["high"]), "strong"),
        ]
        for row in bilingual_wins(data).iter_rows(named=True)
    ]
    head = _head(
        "bilingual beats English-only",
        "wins",
        "share",
        "Wilson",
        "median",
        "cells resampled",
        "ours: mean",
        "items resampled",
    )
    return Grid(title="Bilingual against English-only (P1, Table 2)", head=head, rows=rows, csv="bilingual_wins.csv")


def _not_worse(data: ReportData) -> Grid:
    rows = [
        [
            Cell(
                text=row["group"] if row["group"] == "English" else f"{row['group']}-resource",
                note=row["models"],
                css="name",
            ),
            _number(str(row["num_languages"])),
            _number(str(row["num_cases"])),
            *(_number(f"{row[name] / row['num_cases']:.0%}") for name in ("not_worse_t", "better_t")),
            *(_number(f"{row[name] / row['num_cases']:.0%}", "strong") for name in ("not_worse", "better")),
        ]
        for row in zero_shot_shares(data).iter_rows(named=True)
    ]
    head = _head(
        "evaluated languages", "languages trained on", "cases", "as published, t-test: not worse", "better",
        "ours, interval: not worse", "better",
    )  # fmt: skip
    return Grid(
        title="Zero-shot against direct: not significantly worse (P1, section 4.3)",
        head=head,
        rows=rows,
        csv="zero_shot_shares.csv",
    )


def _regression(data: ReportData) -> Grid:
    rows = []
    for row in regression(data).iter_rows(named=True):

        def pair(low: float | None, high: float | None) -> str:
            return "" if low is None or high is None else f"[{low:.3f}, {high:.3f}]"

        rows.append(
            [
                Cell(text=row["term"], css="name"),
                _number("–" if isnan(row["mean"]) else f"{row['mean']:.3f}".replace("-", "−"), "strong"),
                _number("" if row["train_mean"] is None else f"{row['train_mean']:.3f}".replace("-", "−")),
                _number(pair(row["train_low"], row["train_high"]).replace("-", "−")),
                _number(pair(row["printed_low"], row["printed_high"]).replace("-", "−")),
                _number(pair(row["low"], row["high"]).replace("-", "−"), "strong"),
            ]
        )
    head = _head(
        "term", "coefficient, all rows", "as published: 70 % of the rows", "rows resampled", "all rows: rows resampled",
        "ours: items resampled",
    )  # fmt: skip
    return Grid(title="Pooled regression of the scores (P1, Table 3)", head=head, rows=rows, csv="regression.csv")


def _doses(data: ReportData) -> Grid:
    rows = [
        [
            Cell(text=f"{row['model']} · {row['evaluation']}", note=row["family"], css="name"),
            _number("–" if isnan(row["spearman"]) else f"{row['spearman']:.2f}".replace("-", "−")),
            _number(f"[{row['spearman_low']:.2f}, {row['spearman_high']:.2f}]".replace("-", "−")),
            _number(points_text(row.get("gain"), signed=True)),
            _number(points_text(row["mean"], signed=True, metric=metric), "strong"),
            _number(_range(row["low"], row["high"], metric=metric), "strong"),
            _number(points_text(row["gap_mean"], signed=True, metric=metric)),
            _number(_range(row["gap_low"], row["gap_high"], metric=metric)),
            _number(_plateau(row), "strong"),
        ]
        for row in dose_statistics(data).iter_rows(named=True)
        for metric in (data.metric(row["evaluation"]),)
    ]
    head = _head(
        "dose series", "Spearman, seen and unseen", "items resampled", "largest relative gain, as published",
        "ours: largest dose minus 0", "items resampled", "change of the gap", "items resampled",
        "plateau from",
    )  # fmt: skip
    return Grid(title="Dose series (P2, Table 2 and gains)", head=head, rows=rows, csv="dose_statistics.csv")


def _plateau(row: dict[str, Any]) -> str:
    if row["plateau"] is None:
        return "–"
    within = f"[{row['plateau_low']:g}, {row['plateau_high']:g}]"
    return f"{row['plateau']:g} {within}" if row["plateau_told"] else f"cannot tell {within}"


def _replicates(data: ReportData) -> Grid:
    table = replicates(data)
    rows = []
    if not table.is_empty():
        names = {one.tag: one.name for one in data.languages}
        for row in table.iter_rows(named=True):
            rows.append(
                [
                    Cell(text=row["evaluation"], note=names.get(row["language"], "mean over languages"), css="name"),
                    _number(points_text(row["raw"], metric=data.metric(row["evaluation"]))),
                    _number(points_text(row["net"], metric=data.metric(row["evaluation"])), "strong"),
                    _number(f"{row['num_conditions']} × {1 + row['df'] / row['num_conditions']:.0f}"),
                ]
            )
    head = _head("standard deviation between runs", "observed", "net of item noise", "conditions × seeds")
    return Grid(
        title="Replicates: standard deviation between training seeds, in points",
        head=head,
        rows=rows,
        csv="replicates.csv",
    )
