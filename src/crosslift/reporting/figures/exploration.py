"""Figure of an exploration: what was believed after each batch."""

from __future__ import annotations

from typing import Any

import polars as pl

from crosslift.reporting.data import ReportData
from crosslift.reporting.explorations import exploration as exploration_table
from crosslift.reporting.figure import Figure

WIDTH, HEIGHT = 520, 190
MAX_EXPLORATIONS = 6
"""Explorations of one study that are drawn, the last ones."""


def exploration(data: ReportData) -> Figure:
    """After each batch: the expected score of the decision with its interval, and how sure it is."""
    import altair as alt

    about: dict[str, Any] = {"name": "exploration", "title": "Path of the exploration"}
    table = exploration_table(data)
    rows = table if table.is_empty() else table.filter(pl.col("expected").is_not_null())
    if rows.is_empty() or data.scores.is_empty():
        return Figure(**about, caption="Not drawn: no exploration has come to a decision (crosslift explore).")
    asked = rows["asked"].unique(maintain_order=True).to_list()[-MAX_EXPLORATIONS:]
    rows = rows.filter(pl.col("asked").is_in(asked)).with_columns(
        decision=pl.when(pl.col("mixture") != "").then("mixture").otherwise("amounts"),
        interval=pl.format("[{}, {}]", pl.col("low").round(1), pl.col("high").round(1)),
    )
    x = alt.X("runs:Q", title="finished runs", axis=alt.Axis(tickMinStep=1), scale=alt.Scale(zero=False, padding=12))
    tooltip = [
        alt.Tooltip("runs:Q", title="finished runs"),
        alt.Tooltip("mixture:N", title="mixture"),
        alt.Tooltip("amounts:N", title="amounts"),
        alt.Tooltip("expected:Q", title="expected score", format=".1f"),
        alt.Tooltip("interval:N", title="interval"),
        alt.Tooltip("probability:Q", title="probability", format=".2f"),
    ]
    charts = []
    for number, question in enumerate(asked):
        name = f"exploration {number}"
        base = alt.Chart(alt.NamedData(name)).encode(x=x, tooltip=tooltip).properties(width=WIDTH, height=HEIGHT)
        expected = alt.Y("expected:Q", title="expected score (points)", scale=alt.Scale(zero=False))
        score = (
            base.mark_rule(strokeWidth=2).encode(y="low:Q", y2="high:Q")
            + base.mark_line(opacity=0.4).encode(y=expected)
            + base.mark_point(filled=True, size=70).encode(
                y=expected, shape=alt.Shape("decision:N", legend=alt.Legend(title="decision", labelLimit=260))
            )
        )
        wanted = alt.Chart(alt.NamedData(name)).mark_rule(strokeDash=[4, 4]).encode(y="wanted:Q")
        share = alt.Y("probability:Q", title="probability", scale=alt.Scale(domain=[0, 1]))
        sure = (base.mark_line(point=True).encode(y=share) + wanted).properties(height=HEIGHT // 2)
        charts.append(alt.vconcat(score, sure, title=alt.TitleParams(question, anchor="start")))
    datasets = {f"exploration {number}": rows.filter(asked=question) for number, question in enumerate(asked)}
    return Figure(
        **about,
        chart=alt.vconcat(*charts).resolve_scale(shape="independent"),
        datasets=datasets,
        caption="Above, the mixture that was expected to be best after so many finished runs, with the 95 % interval "
        "of its expected score; below, the probability that no candidate is better by more than the distance asked "
        "for. The dashed line is the probability that was asked for.",
    )
