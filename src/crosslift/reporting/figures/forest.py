"""Forest plot of the declared contrasts."""

from __future__ import annotations

from typing import Any

import polars as pl

from crosslift.reporting.data import ReportData
from crosslift.reporting.figure import Figure
from crosslift.reporting.figures.panels import in_points, label_width, panel, shown_unit
from crosslift.reporting.sentences import gain_verdict

FOREST_WIDTH = 560
"""Of the plot, in pixels."""


MAX_FOREST_ROWS = 60
"""Rows above which single treatments of contrasts with several treatments are omitted."""


VERDICTS = ("supports", "contradicts", "cannot tell")
"""Verdicts, in the order of the palette."""


VERDICT_LABELS = ("gain", "loss", "interval contains 0")
"""Labels of VERDICTS in the legend."""


def forest(data: ReportData) -> Figure:
    """Every declared contrast with its interval: the mean over treatments first, then each treatment."""
    import altair as alt

    about: dict[str, Any] = {"name": "contrasts", "title": "Declared contrasts"}
    table = data.primary.filter(pl.col("estimand") == "gain", pl.col("languages") == "all", pl.col("low").is_not_null())
    if table.is_empty():
        return Figure(**about, caption="Not drawn: no contrast is declared, or none of its runs is finished.")
    words = dict(zip(VERDICTS, VERDICT_LABELS, strict=True))
    table = in_points(
        table.with_columns(
            verdict=pl.struct("low", "high").map_elements(
                lambda row: words[gain_verdict(row["low"], row["high"])], return_dtype=pl.String
            ),
            label=pl.format("{} · {}", panel(data), "mixture"),
            pooled=pl.col("mixture").str.starts_with("mean of "),
            primary_contrast=pl.col("declared").is_in([one.name for one in data.study.contrasts if one.primary]),
        )
    ).select(
        "declared", "primary", "model", "label", "mixture", "control", "value", "low", "high", "interval", "verdict",
        "pooled", "primary_contrast", "p_adjusted", "note", "metric",
    )  # fmt: skip
    note = ""
    if table.height > MAX_FOREST_ROWS:
        alone = pl.len().over("declared", "model") == 1
        table = table.filter(pl.col("pooled") | alone)
        note = " Single treatments are in the table."
    shapes = alt.Scale(domain=list(VERDICT_LABELS), range=["triangle-right", "triangle-left", "circle"])
    legend = alt.Legend(title=None, orient="top")
    tooltip = [
        alt.Tooltip("label:N", title="treatment"),
        alt.Tooltip("control:N", title="control"),
        alt.Tooltip("value:Q", title=f"gain ({shown_unit(table)})", format="+.1f"),
        alt.Tooltip("interval:N", title="interval"),
        alt.Tooltip("p_adjusted:Q", title="adjusted p", format=".3f"),
        alt.Tooltip("note:N", title="note"),
    ]
    axis = alt.Axis(domain=False, ticks=False, labelPadding=8, minExtent=label_width(table["label"].to_list()))
    grid = alt.Axis(grid=True, tickCount=8)
    charts = []
    for contrast in data.study.contrasts:
        part = table.filter(declared=contrast.name)
        if part.is_empty():
            continue
        places = {model: place for place, model in enumerate(data.models)}
        order = pl.col("model").replace_strict(places, return_dtype=pl.Int64), pl.col("pooled").not_()
        labels = part.sort(*order, maintain_order=True)["label"].to_list()
        base = alt.Chart().encode(
            y=alt.Y("label:N", sort=labels, title=None, axis=axis),
            color=alt.Color("verdict:N", scale=alt.Scale(domain=list(VERDICT_LABELS)), legend=legend),
            tooltip=tooltip,
        )
        alike = table.filter(
            pl.col("metric").is_in(part["metric"].unique().implode()), primary_contrast=contrast.primary
        )
        title = f"gain over the control, all languages ({shown_unit(part)})"
        limits = [min(0.0, float(alike["low"].min())), max(0.0, float(alike["high"].max()))]  # type: ignore[arg-type]
        scale = alt.Scale(domain=limits, nice=True)
        layers = alt.layer(
            alt.Chart(alt.InlineData(values=[{"zero": 0}]))
            .mark_rule(style="zero", strokeDash=[3, 3])
            .encode(x=alt.X("zero:Q", title=title, scale=scale, axis=grid)),
            base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title=title, scale=scale, axis=grid), x2="high:Q"),
            base.mark_point(filled=True, opacity=1).encode(
                x=alt.X("value:Q", title=title),
                size=alt.Size("pooled:N", scale=alt.Scale(domain=[True, False], range=[150, 60]), legend=None),
                shape=alt.Shape("verdict:N", scale=shapes, legend=legend),
            ),
            data=alt.NamedData(name=contrast.name),
        )
        name = contrast.name + (" (primary)" if contrast.primary else "")
        charts.append(layers.properties(title=name, width=FOREST_WIDTH, height=alt.Step(21)))
    return Figure(
        **about,
        datasets={str(name): part for (name,), part in table.group_by("declared", maintain_order=True)},
        chart=alt.vconcat(*charts, spacing=26).resolve_scale(
            x="independent", color="shared", shape="shared", size="shared"
        ),
        caption="Gain over the control, mean over all evaluation languages. Large marks are means over the "
        "treatments of a contrast. Primary contrasts are corrected for multiple testing by Holm, the others by "
        f"Benjamini-Hochberg.{note}",
    )
