"""Figure of the variance components of answers."""

from __future__ import annotations

from typing import Any

import polars as pl

from crosslift.reporting.data import ReportData
from crosslift.reporting.figure import Figure

WIDTH = 560


def variance(data: ReportData) -> Figure:
    """Shares of the variance components of single answers."""
    import altair as alt

    about: dict[str, Any] = {"name": "variance", "title": "Variance components"}
    shares = data.variance
    if shares.is_empty():
        return Figure(**about, caption="Not drawn: fewer than two trained runs are evaluated.")
    order = shares["part"].unique(maintain_order=True).to_list()
    chart = (
        alt.Chart(alt.NamedData("rows"))
        .mark_bar(height=20)
        .encode(
            x=alt.X(
                "share:Q", title="share of the variance of single answers", axis=alt.Axis(format="%"), stack="zero"
            ),
            y=alt.Y("evaluation:N", title=None),
            color=alt.Color(
                "part:N",
                sort=order,
                scale=alt.Scale(scheme="tableau10"),
                legend=alt.Legend(title=None, columns=5, orient="top"),
            ),
            order=alt.Order("place:Q"),
            tooltip=[
                "evaluation:N",
                "part:N",
                alt.Tooltip("share:Q", format=".1%"),
                alt.Tooltip("deviation:Q", format=".3f"),
            ],
        )
        .properties(width=WIDTH)
    )
    rows = shares.with_columns(place=pl.col("part").replace_strict({part: n for n, part in enumerate(order)}))
    return Figure(
        **about,
        chart=chart,
        datasets={"rows": rows},
        caption="Mixed model of all answers of trained runs with crossed random effects. The residual contains item x "
        "run "
        "interactions and chance. If items and residual dominate, more items increase precision; if runs dominate, "
        "more "
        "seeds do.",
    )
