"""Transfer matrix: gain of every mixture in every evaluation language."""

from __future__ import annotations

from typing import Any

import polars as pl

from crosslift.languages.similarity import order_by_similarity
from crosslift.reporting.data import ReportData
from crosslift.reporting.figure import Figure
from crosslift.reporting.figures.panels import heat_map, in_points, panel, shade, tile_text


def transfer_heat_map(data: ReportData) -> Figure:
    """Gain over the control per mixture x evaluation language."""
    about: dict[str, Any] = {"name": "transfer", "title": "Transfer matrix: gain of each mixture in each language"}
    tags = order_by_similarity([one.tag for one in data.languages])
    names = {one.tag: one.name for one in data.languages}
    gains = data.primary.filter(
        pl.col("estimand") == "gain", pl.col("languages").is_in(tags), ~pl.col("mixture").str.starts_with("mean of ")
    )
    declared = {contrast.name: place for place, contrast in enumerate(data.study.contrasts)}
    gains = gains.sort(pl.col("declared").replace_strict(declared, return_dtype=pl.Int64), maintain_order=True)
    gains = gains.unique(["model", "evaluation", "mixture", "control", "languages"], keep="first", maintain_order=True)
    if gains["value"].drop_nulls().is_empty():
        return Figure(**about, caption="Not drawn: no contrast is declared, or none of its runs is finished.")
    trained = dict(data.runs.select("mixture", "languages").unique("mixture").iter_rows())
    table = (
        in_points(gains)
        .with_columns(panel=pl.format("{} minus {}", panel(data), "control"))
        .with_columns(
            seen=pl.struct("mixture", "languages").map_elements(
                lambda row: row["languages"] in trained.get(row["mixture"], []), return_dtype=pl.Boolean
            ),
            clear=((pl.col("low") > 0) | (pl.col("high") < 0)).fill_null(False),
            name=pl.col("languages").replace(names),
            text=pl.struct("value", "metric").map_elements(
                lambda row: None if row["value"] is None else tile_text(row["value"], row["metric"]),
                return_dtype=pl.String,
            ),
            shade=shade(),
        )
        .select(
            "panel",
            "mixture",
            "control",
            "languages",
            "name",
            "value",
            "shade",
            "interval",
            "seen",
            "clear",
            "text",
            "note",
        )
    )
    order = [name for name in data.mixtures if name in set(table["mixture"])]
    return Figure(
        **about,
        chart=heat_map(table, tags, order),
        datasets={str(name): part for (name,), part in table.group_by("panel", maintain_order=True)},
        caption="A full tile is a gain (blue) or loss (orange) whose interval excludes 0; a small tile is a "
        "difference whose interval contains 0; an outline marks the training languages of the mixture. Languages are "
        "ordered by similarity in genealogy, syntax and script.",
    )
