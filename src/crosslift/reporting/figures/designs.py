"""Figures of two designs: number of languages by amount per language, and native against translated data."""

from __future__ import annotations

from typing import Any

import polars as pl

from crosslift.reporting.data import ReportData
from crosslift.reporting.figure import Figure
from crosslift.reporting.figures.panels import (
    PANEL_HEIGHT,
    PANEL_WIDTH,
    conditions,
    dose_panel,
    facets,
    in_points,
    several_units,
    shown_unit,
)
from crosslift.transfer.estimates.language_groups import ENGLISH

GROUPS = {ENGLISH: "English", "seen": "seen", "unseen": "unseen"}


def score_by_number_and_amount(data: ReportData) -> Figure:
    """Mean score against the number of training languages, a line per amount of each language."""
    about: dict[str, Any] = {"name": "score-by-number-and-amount", "title": "Number of languages and amount of each"}
    table = _of_factor(data, "num_languages", ["all"])
    if table.is_empty():
        return Figure(**about, caption="Not drawn: the study has no family of kind “factorial”.")
    amounts = {name: int(one.factors["amount"]) for name, one in data.study.mixtures.items() if "amount" in one.factors}
    table = table.with_columns(
        x=pl.col("factor").cast(pl.Int64), series=pl.col("mixture").replace_strict(amounts, return_dtype=pl.Int64)
    )
    order = [str(amount) for amount in sorted(set(amounts.values()))]
    return Figure(
        **about,
        **_lines(
            table.with_columns(pl.col("series").cast(pl.String)),
            x="number of languages",
            legend="amount per language",
            order=order,
        ),
        caption="Mean over all evaluation languages. Along a line, languages are added at the same amount of each, so "
        "the total grows; between lines, only the amount differs. Mixtures with equal totals lie on different lines, "
        "and their difference is the effect of the number of languages at a fixed total (a point shows its "
        "examples).",
    )


def score_by_origin(data: ReportData) -> Figure:
    """Score of English, seen and unseen languages against the share of native data."""
    about: dict[str, Any] = {"name": "score-by-origin", "title": "Native against translated data"}
    table = _of_factor(data, "native", list(GROUPS))
    if table.is_empty():
        return Figure(**about, caption="Not drawn: the study has no family of kind “origin”.")
    table = table.with_columns(
        x=pl.col("factor").str.strip_suffix(" %").cast(pl.Float64), series=pl.col("languages").replace(GROUPS)
    )
    return Figure(
        **about,
        **_lines(table, x="native data (%)", legend="languages", order=list(dict.fromkeys(GROUPS.values()))),
        caption="The amount of each language is the same in all mixtures; the remaining share is translated. Seen and "
        "unseen exclude English. The corpora may differ in their content as well as in their origin.",
    )


def _of_factor(data: ReportData, factor: str, groups: list[str]) -> pl.DataFrame:
    """Scores of the mixtures that a family distinguishes by a factor, with its value as the column `factor`."""
    values = {name: one.factors[factor] for name, one in data.study.mixtures.items() if factor in one.factors}
    table = data.primary.filter(
        pl.col("estimand") == "score",
        pl.col("languages").is_in(groups),
        pl.col("mixture").is_in(list(values)),
        pl.col("value").is_not_null(),
    )
    if table.is_empty():
        return table
    table = table.join(conditions(data), on=["model", "mixture"], maintain_order="left")
    return table.with_columns(
        factor=pl.col("mixture").replace_strict(values, return_dtype=pl.String), panel=dose_panel(data, table)
    )


def _lines(table: pl.DataFrame, *, x: str, legend: str, order: list[str]) -> dict[str, Any]:
    """The chart and its data: `x`, `series` and the value with its interval."""
    import altair as alt

    unit, several = f"score ({shown_unit(table)})", several_units(table)
    columns = ["panel", "x", "series", "value", "low", "high", "interval", "mixture", "trained", "examples", "family"]
    rows = in_points(table).select(columns).sort("panel", "family", "series", "x", maintain_order=True)
    present = [name for name in order if name in set(rows["series"])]
    base = alt.Chart(width=PANEL_WIDTH, height=PANEL_HEIGHT).encode(
        x=alt.X(
            "x:Q", title=x, axis=alt.Axis(values=sorted(rows["x"].unique()), grid=False), scale=alt.Scale(padding=14)
        ),
        color=alt.Color(
            "series:N", scale=alt.Scale(domain=present), legend=alt.Legend(title=legend, orient="top"), sort=present
        ),
        detail="family:N",
    )
    tooltip = ["mixture:N", "trained:N", "examples:Q", alt.Tooltip("value:Q", title=unit), "interval:N"]
    y = alt.Y("value:Q", title=unit, scale=alt.Scale(zero=True))
    chart = alt.layer(
        base.mark_rule(strokeWidth=1.6).encode(y=alt.Y("low:Q", title=unit), y2="high:Q"),
        base.mark_line(strokeWidth=2).encode(y=y),
        base.mark_point(filled=True, size=52).encode(
            y=y, tooltip=tooltip, shape=alt.Shape("series:N", scale=alt.Scale(domain=present), legend=None)
        ),
    )
    return {"datasets": {"rows": rows}, "chart": facets(chart, rows, own_scales=several)}
