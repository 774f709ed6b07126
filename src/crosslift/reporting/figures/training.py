"""Training curves: validation loss by language against optimiser steps."""

from __future__ import annotations

from typing import Any

import polars as pl

from crosslift.reporting.data import ReportData
from crosslift.reporting.figure import Figure
from crosslift.reporting.figures.panels import facets

MAX_TRAINING_PANELS = 12
"""Largest number of conditions in the figure."""


def training_curves(data: ReportData) -> Figure:
    """Bits per byte per language against optimiser steps."""
    import altair as alt

    about: dict[str, Any] = {"name": "training", "title": "Loss per language over training"}
    splits = set(data.training["split"].unique())
    split = "validation" if "validation" in splits else "train"
    first = data.runs.unique(["model", "mixture"], keep="first", maintain_order=True)
    table = (
        data.training.filter(
            pl.col("split") == split, pl.col("language") != "all", pl.col("bits_per_byte").is_not_null()
        )
        .group_by("run", "language", "step", maintain_order=True)
        .agg(pl.col("bits_per_byte").mean().round(4), pl.col("loss").mean().round(4))
        .join(first.select("run", "model", "mixture"), on="run", how="inner", maintain_order="right_left")
    )
    if table.is_empty():
        return Figure(**about, caption="Not drawn: no run has written its loss per language yet.")
    panels = table["run"].unique(maintain_order=True).to_list()
    note = ""
    if len(panels) > MAX_TRAINING_PANELS:
        note = (
            f" The first {MAX_TRAINING_PANELS} of {len(panels)} conditions are drawn; all are in tables/training.csv."
        )
        table = table.filter(pl.col("run").is_in(panels[:MAX_TRAINING_PANELS]))
    names = {one.tag: one.name for one in data.languages}
    table = table.with_columns(
        panel=pl.format("{} · {}", "model", "mixture"),
        name=pl.col("language").replace(names),
    )
    tags = [one.tag for one in data.languages if one.tag in set(table["language"])]
    tags += sorted(set(table["language"]) - set(tags))
    pick = alt.selection_point(fields=["language"], bind="legend", name="pick_language")
    chart = (
        alt.Chart(width=242, height=150)
        .mark_line(strokeWidth=1.8, point=alt.OverlayMarkDef(size=18) if table["step"].n_unique() < 40 else False)
        .encode(
            x=alt.X("step:Q", title="optimiser steps", axis=alt.Axis(grid=False, tickCount=5)),
            y=alt.Y("bits_per_byte:Q", title="bits per byte", scale=alt.Scale(zero=False)),
            color=alt.Color("language:N", sort=tags, legend=alt.Legend(title=None, orient="top", columns=14)),
            opacity=alt.when(pick).then(alt.value(1)).otherwise(alt.value(0.08)),
            tooltip=[
                alt.Tooltip("name:N", title="language"),
                "step:Q",
                "bits_per_byte:Q",
                alt.Tooltip("loss:Q", title="loss (nats per token)"),
            ],
        )
        .add_params(pick)
    )
    what = "held-out answers in the mixture's own languages" if split == "validation" else "training answers"
    return Figure(
        **about,
        datasets={"rows": table},
        chart=facets(chart, table, columns=3),
        caption=f"Bits per UTF-8 byte of {what}; comparable between languages and tokenizers. First seed of each "
        f"condition.{note}",
    )
