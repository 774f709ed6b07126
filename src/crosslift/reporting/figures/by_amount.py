"""Scores against the number of training languages, and against the dose."""

from __future__ import annotations

from typing import Any

import polars as pl

from crosslift.reporting.data import ReportData
from crosslift.reporting.figure import Figure
from crosslift.reporting.figures.panels import (
    COMPACT_HEIGHT,
    COMPACT_WIDTH,
    PANEL_HEIGHT,
    PANEL_WIDTH,
    conditions,
    dose_panel,
    dose_scale,
    facets,
    in_points,
    panel,
    several_units,
    shown_unit,
    with_dose_zero,
)
from crosslift.transfer.estimates.language_groups import ENGLISH
from crosslift.transfer.grid.doses import dose_statistics

MAX_FULL_SIZE_PANELS = 8
"""Panels of doses above which panels are small and three to a row."""


def score_by_num_languages(data: ReportData) -> Figure:
    """Mean score of high- and low-resource languages against the number of training languages (arXiv 2604.13286)."""
    import altair as alt

    about: dict[str, Any] = {
        "name": "score-by-num-languages",
        "title": "Score against the number of training languages",
    }
    table = (
        data.primary.filter(pl.col("estimand") == "score", pl.col("languages").is_in(["high", "low"]))
        .filter(pl.col("value").is_not_null(), pl.col("mixture").is_in(data.grid_mixtures))
        .join(conditions(data).filter(pl.col("dose").is_null()), on=["model", "mixture"])
        .with_columns(group=pl.col("languages").replace({"high": "high-resource", "low": "low-resource"}))
        .with_columns(x=pl.col("num_languages") + pl.when(pl.col("languages") == "high").then(-0.06).otherwise(0.06))
        .with_columns(panel=panel(data))
    )
    if table.filter(pl.col("mixture") != "base")["num_languages"].n_unique() < 2:
        return Figure(
            **about, caption="Not drawn: the mixtures of this study do not differ in their number of languages."
        )
    columns = [
        "panel",
        "x",
        "group",
        "value",
        "low",
        "high",
        "interval",
        "mixture",
        "trained",
        "num_languages",
        "examples",
    ]
    unit = f"score ({shown_unit(table)})"
    several = several_units(table)
    table = in_points(table).select(columns)
    pick = alt.selection_point(fields=["group"], bind="legend", name="pick_group")
    shown = alt.when(pick).then(alt.value(1)).otherwise(alt.value(0.12))
    most = int(table["num_languages"].max() or 1)  # type: ignore[arg-type]
    ticks = list(range(0, most + 1, 1 if most <= 12 else 2))
    base = alt.Chart(width=PANEL_WIDTH, height=PANEL_HEIGHT).encode(
        x=alt.X(
            "x:Q", title="languages trained on (0: base model)", axis=alt.Axis(values=ticks, format="d", grid=False)
        ),
        color=alt.Color(
            "group:N",
            scale=alt.Scale(domain=["high-resource", "low-resource"]),
            legend=alt.Legend(title=None, orient="top"),
        ),
        opacity=shown,
    )
    tooltip = ["mixture:N", "trained:N", "examples:Q", "group:N", alt.Tooltip("value:Q", title="score"), "interval:N"]
    y = alt.Y("value:Q", title=unit, scale=alt.Scale(zero=True))
    chart = alt.layer(
        base.mark_rule(strokeWidth=1.6).encode(y=alt.Y("low:Q", title=unit), y2="high:Q"),
        base.mark_line(strokeWidth=2).encode(y=alt.Y("mean(value):Q", title=unit)),
        base.mark_point(filled=True, size=52)
        .encode(y=y, tooltip=tooltip, shape=alt.Shape("group:N", legend=None))
        .add_params(pick),
    )
    return Figure(
        **about,
        datasets={"rows": table},
        chart=facets(chart, table, own_scales=several),
        caption="Each point is a mixture with its interval; lines connect the means over mixtures with equal numbers "
        "of "
        "languages. Click the legend to highlight a group.",
    )


def score_by_dose(data: ReportData) -> Figure:
    """Score of English, seen and unseen languages against examples per language (arXiv 2504.16677)."""
    flat = dose_statistics(data.cells)
    if not flat.is_empty():
        flat = flat.filter("plateau_told").select("evaluation", "model", "family", "plateau_low", "plateau_high")
    title = "Score against examples per language"
    return _by_dose(data, "score", name="score-by-dose", title=title, unit="score ({})", flat=flat)


def relative_by_dose(data: ReportData) -> Figure:
    """Score relative to English against examples per language (arXiv 2504.16677)."""
    title = "Score relative to English against examples per language"
    return _by_dose(data, "relative_to_english", name="relative-by-dose", title=title, unit="% of the English score")


def _by_dose(
    data: ReportData, estimand: str, *, name: str, title: str, unit: str, flat: pl.DataFrame | None = None
) -> Figure:
    """A dose-response figure. `flat`: interval of the plateau of each series, drawn as a band."""
    import altair as alt

    about: dict[str, Any] = {"name": name, "title": title}
    doses = conditions(data).filter(pl.col("dose").is_not_null())
    if doses["dose"].n_unique() < 2:
        return Figure(**about, caption="Not drawn: the study has no family of kind “dose”.")
    scores = data.primary.filter(pl.col("estimand") == estimand).join(doses, on=["model", "mixture"])
    if scores["value"].drop_nulls().is_empty():
        return Figure(**about, caption="Not drawn: no run of the dose family is finished.")
    named = {ENGLISH: "English", "seen": "seen", "unseen": "unseen"}
    table = scores.filter(pl.col("languages").is_in(list(named)) & pl.col("value").is_not_null())
    table = table.with_columns(group=pl.col("languages").replace(named))
    # At dose 0 no language is seen. The curves start there with the languages that larger doses train on.
    table = pl.concat(
        [table.filter((pl.col("dose") > 0) | (pl.col("group") == "English")), with_dose_zero(data, scores)],
        how="diagonal",
    )
    unit = unit.format(shown_unit(table))
    several = estimand == "score" and several_units(table)
    columns = ["panel", "dose", "group", "value", "low", "high", "interval", "mixture", "trained", "examples", "family"]
    if flat is not None and not flat.is_empty():
        table = table.join(flat, on=["evaluation", "model", "family"], how="left", maintain_order="left")
        columns += ["plateau_low", "plateau_high"]
    table = in_points(table.with_columns(panel=dose_panel(data, scores))).select(columns).sort("panel", "group", "dose")
    order = scores.with_columns(panel=dose_panel(data, scores))["panel"].unique(maintain_order=True).to_list()
    pick = alt.selection_point(fields=["group"], bind="legend", name=f"pick_{estimand}")
    ticks = sorted(table["dose"].unique())
    crowded = table["panel"].n_unique() > MAX_FULL_SIZE_PANELS
    width, height = (COMPACT_WIDTH, COMPACT_HEIGHT) if crowded else (PANEL_WIDTH, PANEL_HEIGHT)
    base = alt.Chart(width=width, height=height).encode(
        x=alt.X(
            "dose:Q",
            title="examples per language",
            scale=dose_scale(ticks),
            axis=alt.Axis(values=ticks, grid=False, labelOverlap=True),
        ),
        color=alt.Color(
            "group:N",
            scale=alt.Scale(domain=[name for name in ("seen", "unseen", "English") if name in set(table["group"])]),
            legend=alt.Legend(title=None, orient="top"),
        ),
        opacity=alt.when(pick).then(alt.value(1)).otherwise(alt.value(0.12)),
        detail="family:N",
    )
    tooltip = ["mixture:N", "trained:N", "group:N", alt.Tooltip("value:Q", title=unit), "interval:N"]
    y = alt.Y("value:Q", title=unit, scale=alt.Scale(zero=True))
    layers = [
        base.mark_rule(strokeWidth=1.6).encode(y=alt.Y("low:Q", title=unit), y2="high:Q"),
        base.mark_line(strokeWidth=2).encode(y=y),
        base.mark_point(filled=True, size=52)
        .encode(y=y, tooltip=tooltip, shape=alt.Shape("group:N", legend=None))
        .add_params(pick),
    ]
    bands = "plateau_low" in table.columns
    if bands:
        band = alt.Chart(width=width, height=height).mark_rect(opacity=0.1)
        layers = [band.encode(x=alt.X("min(plateau_low):Q"), x2="max(plateau_high):Q"), *layers]
    return Figure(
        **about,
        datasets={"rows": table},
        chart=facets(alt.layer(*layers), table, order, columns=3 if crowded else 2, own_scales=several),
        caption="Seen and unseen exclude English. Points at 0 examples without an interval are means over the "
        "languages "
        "that the larger doses train on (seen) or do not (unseen). The horizontal axis is logarithmic above its first "
        "step."
        + (" Bands: 95 % interval of the start of the plateau, mean over the non-English languages." if bands else ""),
    )
