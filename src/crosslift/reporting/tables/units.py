"""Metrics that no claim can be about, such as bits per byte: a table in their own unit, apart from the others."""

from __future__ import annotations

from typing import Any

import polars as pl

from crosslift.reporting.data import ReportData
from crosslift.reporting.tables.cells import Cell, Grid, header
from crosslift.scores import scale


def own_units(data: ReportData) -> pl.DataFrame:
    """Metrics that cannot be primary, per model x mixture x language, in their own unit; without columns if none."""
    found = data.estimates["metric"].drop_nulls().unique().sort()
    metrics = [name for name in found if not scale(name).can_be_primary]
    if not metrics:
        return pl.DataFrame()
    better = {name: "higher" if scale(name).higher_is_better else "lower" for name in metrics}
    labels = ["all", *(one.tag for one in data.languages)]

    def order(column: str, names: list[str]) -> pl.Expr:
        places = {name: place for place, name in enumerate(names)}
        return pl.col(column).replace_strict(places, default=-1, return_dtype=pl.Int64)

    return (
        data.estimates.filter(
            pl.col("metric").is_in(metrics), pl.col("estimand") == "score", pl.col("languages").is_in(labels)
        )
        .sort(
            "evaluation",
            "metric",
            order("model", list(data.models)),
            order("mixture", list(data.mixtures)),
            order("languages", labels),
            maintain_order=True,
        )
        .with_columns(
            unit=pl.col("metric").replace_strict({name: scale(name).unit for name in metrics}, return_dtype=pl.String),
            better=pl.col("metric").replace_strict(better, return_dtype=pl.String),
        )
        .select(
            *("evaluation", "metric", "unit", "better", "model", "mixture", "languages", "value", "low", "high"),
            *("level", "num_items", "num_clusters", "num_seeds", "method", "note"),
        )
    )


def grids(data: ReportData) -> list[Grid]:
    """One table per evaluation and metric: conditions in rows, languages in columns."""
    rows = own_units(data)
    if not rows.columns:
        return []
    found = []
    for (evaluation, metric), part in rows.group_by("evaluation", "metric", maintain_order=True):
        labels = part["languages"].unique(maintain_order=True).to_list()
        direction = part["better"][0]
        found.append(
            Grid(
                title=f"{evaluation}, {part['unit'][0]} ({direction} is better)",
                head=header("model", "mixture", *labels, numbers=range(2, 2 + len(labels))),
                rows=[
                    _row(dict(zip(("model", "mixture"), map(str, key), strict=True)), cells, labels)
                    for key, cells in part.group_by("model", "mixture", maintain_order=True)
                ],
                csv="own_units.csv",
            )
        )
        del metric
    return found


def _row(names: dict[str, str], cells: pl.DataFrame, labels: list[str]) -> list[Cell]:
    by_label = {row["languages"]: row for row in cells.iter_rows(named=True)}
    return [
        Cell(text=names["model"], css="name"),
        Cell(text=names["mixture"], css="name"),
        *(_number(by_label.get(label)) for label in labels),
    ]


def _number(row: dict[str, Any] | None) -> Cell:
    if row is None or row["value"] is None:
        return Cell(text="–", css="number", title="" if row is None else row["note"])
    interval = f"{row['low']:.3f}–{row['high']:.3f}" if row["low"] is not None else ""
    return Cell(text=f"{row['value']:.3f}", note=interval, css="number", title=row["note"])
