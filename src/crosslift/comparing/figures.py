"""Forest plots of compared and pooled studies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from crosslift.reporting.figure import Figure
from crosslift.reporting.figures.panels import in_points, label_width

WIDTH = 520
"""Of a plot, in pixels."""
MAX_ROWS = 60
"""Rows of one plot; further ones are in the tables only."""
VERDICTS = {"supported": "above 0", "not supported": "below 0", "cannot tell": "interval contains 0"}
"""Verdict -> label, in the order of the palette."""


def forest(
    table: pl.DataFrame, *, name: str, title: str, axis_title: str, caption: str, panels: Sequence[str] | None = None
) -> Figure:
    """Draw estimates with intervals, one plot per panel; summaries have large marks.

    Args:
        table: panel, label, is_summary, value, low, high (shares), verdict and note, in the order of the rows.
        name: file name of the figure.
        title: its title.
        axis_title: title of the horizontal axis.
        caption: how to read it.
        panels: panels in their order; default: as in the table.
    """
    import altair as alt

    table = table.filter(pl.col("low").is_not_null())
    about: dict[str, Any] = {"name": name, "title": title}
    if table.is_empty():
        return Figure(**about, caption="Not drawn: no estimate has an interval.")
    rows = in_points(table).with_columns(says=pl.col("verdict").replace(VERDICTS))
    order = list(panels or rows["panel"].unique(maintain_order=True))
    low, high = float(rows["low"].min()), float(rows["high"].max())  # type: ignore[arg-type]
    scale = alt.Scale(domain=[min(0.0, low), max(0.0, high)], nice=True)
    x_axis = alt.Axis(grid=True, tickCount=8)
    y_axis = alt.Axis(domain=False, ticks=False, labelPadding=8, minExtent=label_width(rows["label"].to_list()))
    legend = alt.Legend(title=None, orient="top")
    labels = list(VERDICTS.values())
    charts, datasets, cut = [], {}, 0
    for place, panel in enumerate(order):
        part = rows.filter(panel=panel)
        cut += max(0, part.height - MAX_ROWS)
        part = part.head(MAX_ROWS)
        datasets[f"panel-{place}"] = part
        base = alt.Chart().encode(
            y=alt.Y("label:N", sort=part["label"].to_list(), title=None, axis=y_axis),
            color=alt.Color("says:N", scale=alt.Scale(domain=labels), legend=legend),
            tooltip=[
                alt.Tooltip("label:N", title="what"),
                alt.Tooltip("value:Q", title="points", format="+.1f"),
                alt.Tooltip("interval:N", title="interval"),
                alt.Tooltip("note:N", title="note"),
            ],
        )
        layers = alt.layer(
            alt.Chart(alt.InlineData(values=[{"zero": 0}]))
            .mark_rule(style="zero", strokeDash=[3, 3])
            .encode(x=alt.X("zero:Q", title=axis_title, scale=scale, axis=x_axis)),
            base.mark_rule(strokeWidth=2).encode(
                x=alt.X("low:Q", title=axis_title, scale=scale, axis=x_axis), x2="high:Q"
            ),
            base.mark_point(filled=True, opacity=1).encode(
                x=alt.X("value:Q", title=axis_title),
                size=alt.Size("is_summary:N", scale=alt.Scale(domain=[True, False], range=[150, 60]), legend=None),
                shape=alt.Shape(
                    "says:N",
                    scale=alt.Scale(domain=labels, range=["triangle-right", "triangle-left", "circle"]),
                    legend=legend,
                ),
            ),
            data=alt.NamedData(name=f"panel-{place}"),
        )
        charts.append(layers.properties(title=str(panel), width=WIDTH, height=alt.Step(21)))
    more = f" {cut} further rows are in the tables." if cut else ""
    return Figure(
        **about,
        datasets=datasets,
        chart=alt.vconcat(*charts, spacing=26).resolve_scale(
            x="independent", color="shared", shape="shared", size="shared"
        ),
        caption=f"{caption}{more}",
    )
