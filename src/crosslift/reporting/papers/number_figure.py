"""P1's Figure 2 (arXiv 2604.13286) in both readings: Wilson's intervals of pooled answers, and items resampled."""

from __future__ import annotations

from typing import Any

import polars as pl

from crosslift.reporting.data import ReportData
from crosslift.reporting.figure import Figure
from crosslift.reporting.figures.panels import SMALL_HEIGHT, SMALL_WIDTH, facets, several_units, shown_unit
from crosslift.reporting.wording import factor_of, interval_text
from crosslift.transfer.grid.by_number import scores_by_number

PRINTED, OURS = "as published: Wilson", "ours: items resampled"


def mean_by_number(data: ReportData) -> Figure:
    """Mean score of high- and low-resource languages by number of training languages, with both intervals."""
    import altair as alt

    about: dict[str, Any] = {
        "name": "mean-by-number",
        "title": "Mean score by number of training languages, both intervals (P1, Figure 2)",
    }
    found = scores_by_number(data.cells)
    if found.is_empty() or found.filter(pl.col("num_languages") > 0)["num_languages"].n_unique() < 2:
        return Figure(**about, caption="Not drawn: the mixtures of this study do not differ in number of languages.")
    rows = []
    for row in found.iter_rows(named=True):
        metric = data.metric(row["evaluation"])
        by = factor_of(metric)
        for reading, (low, high) in {
            PRINTED: (row["wilson_low"], row["wilson_high"]),
            OURS: (row["low"], row["high"]),
        }.items():
            if low is not None:
                rows.append(
                    {
                        "panel": f"{row['model']} · {row['evaluation']}",
                        "group": f"{row['group']}-resource",
                        "reading": reading,
                        "num_languages": row["num_languages"],
                        "x": row["num_languages"] + (-0.08 if reading == PRINTED else 0.08),
                        "value": round(by * row["mean"], 2),
                        "low": round(by * low, 2),
                        "high": round(by * high, 2),
                        "interval": interval_text({"low": low, "high": high, "metric": metric}),
                        "num_cells": row["num_cells"],
                        "metric": metric,
                    }
                )
    table = pl.DataFrame(rows)
    unit = f"score ({shown_unit(table)})"
    most = int(table["num_languages"].max() or 1)  # type: ignore[arg-type]
    colour = alt.Color(
        "group:N",
        scale=alt.Scale(domain=["high-resource", "low-resource"]),
        legend=alt.Legend(title=None, orient="top"),
    )
    base = alt.Chart(width=SMALL_WIDTH, height=SMALL_HEIGHT).encode(
        x=alt.X(
            "x:Q",
            title="languages trained on (0: base model)",
            axis=alt.Axis(values=list(range(0, most + 1)), format="d", grid=False),
        ),
        color=colour,
    )
    chart = alt.layer(
        base.mark_rule(strokeWidth=2).encode(
            y=alt.Y("low:Q", title=unit),
            y2="high:Q",
            strokeDash=alt.StrokeDash(
                "reading:N",
                scale=alt.Scale(domain=[OURS, PRINTED], range=[[1, 0], [3, 2]]),
                legend=alt.Legend(title=None, orient="top", labelLimit=320),
            ),
        ),
        base.mark_line(strokeWidth=2).encode(y=alt.Y("mean(value):Q", title=unit), x="num_languages:Q"),
        base.mark_point(filled=True, size=40).encode(
            y=alt.Y("value:Q", title=unit),
            x="num_languages:Q",
            tooltip=["group:N", "num_languages:Q", "reading:N", "value:Q", "interval:N", "num_cells:Q"],
        ),
    )
    return Figure(
        **about,
        datasets={"rows": table},
        chart=facets(chart, table, columns=3, own_scales=several_units(table)),
        caption="Mean over all mixtures with equal numbers of languages. The published interval treats every answer of "
        "every mixture as an independent trial; ours resamples items, which all mixtures share.",
    )
