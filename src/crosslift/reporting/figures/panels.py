"""Common parts of the figures: the underlying tables, scales and facets."""

from __future__ import annotations

from typing import Any

import polars as pl

from crosslift.reporting.data import ReportData
from crosslift.reporting.wording import POINTS, factor, interval_text, unit_of
from crosslift.scores import RANGES
from crosslift.transfer.estimates.language_groups import ENGLISH

PANEL_WIDTH, PANEL_HEIGHT = 380, 240
SMALL_WIDTH, SMALL_HEIGHT = 250, 190
COMPACT_WIDTH, COMPACT_HEIGHT = 236, 150
"""Of one panel, in pixels."""


def panel(data: ReportData) -> pl.Expr:
    """The facet of a row: the model, and the evaluation if there are several."""
    return pl.format("{} · {}", "model", "evaluation") if len(data.evaluations) > 1 else pl.col("model")


def dose_panel(data: ReportData, scores: pl.DataFrame) -> pl.Expr:
    """The facet of a row of a dose figure: as `panel`, with the dose family if a facet would have several."""
    counts = scores.group_by("model", "evaluation").agg(families=pl.col("family").n_unique())
    crowded = counts.filter(pl.col("families") > 1).select(pl.format("{}·{}", "model", "evaluation")).to_series()
    is_crowded = pl.format("{}·{}", "model", "evaluation").is_in(crowded.implode())
    return pl.when(is_crowded).then(pl.format("{} · {}", panel(data), "family")).otherwise(panel(data))


def dose_scale(doses: list[int]) -> Any:
    """Scale of doses: linear below the smallest positive dose, logarithmic above."""
    import altair as alt

    smallest = min([dose for dose in doses if dose], default=1)
    return alt.Scale(type="symlog", nice=False, padding=14, constant=max(1, smallest))


def in_points(table: pl.DataFrame) -> pl.DataFrame:
    """Convert value and limits to the unit in which they are shown (points, or ratings), and add the interval as text.

    Args:
        table: rows of estimates; without the column estimand they are no ratios.
    """
    if "estimand" not in table.columns:
        return in_points(table.with_columns(estimand=pl.lit(None, pl.String))).drop("estimand")
    return table.with_columns(
        (pl.col("value", "low", "high") * factor()).round(2),
        interval=pl.struct("low", "high", "metric", "estimand").map_elements(
            lambda row: interval_text(row) or "none", return_dtype=pl.String, skip_nulls=False
        ),
    )


def shown_unit(table: pl.DataFrame) -> str:
    """The unit of the values of a table with the column metric, for the title of an axis."""
    return unit_of(table["metric"].drop_nulls().unique(maintain_order=True))


def several_units(table: pl.DataFrame) -> bool:
    """Whether the values of a table with the column metric have several units."""
    return "; " in shown_unit(table)


def facets(
    chart: Any, table: pl.DataFrame, order: list[str] | None = None, *, columns: int = 2, own_scales: bool = False
) -> Any:
    """A chart per `panel` of the table.

    Args:
        chart: the chart of one panel.
        table: with the column `panel`.
        order: panels in their order; by default as in the table.
        columns: panels per row.
        own_scales: whether each panel has its own vertical scale, because their units differ.
    """
    import altair as alt

    panels = order or table["panel"].unique(maintain_order=True).to_list()
    facet = alt.Facet("panel:N", sort=panels, title=None, header=alt.Header(labelAnchor="start"))
    made = chart.facet(facet, columns=columns, data=alt.NamedData(name="rows"), spacing=34)
    return made.resolve_scale(y="independent") if own_scales else made


def conditions(data: ReportData) -> pl.DataFrame:
    """model, mixture, family, dose, num_languages, trained (as text), examples."""
    return data.runs.unique(["model", "mixture"], keep="first", maintain_order=True).select(
        "model",
        "mixture",
        "family",
        "dose",
        num_languages=pl.col("languages").list.len().cast(pl.Int64),
        trained=pl.col("languages").list.join(", "),
        examples=pl.col("num_items").list.sum(),
    )


def with_dose_zero(data: ReportData, scores: pl.DataFrame) -> pl.DataFrame:
    """Seen and unseen scores at dose 0, by the training languages of the family's largest dose; without intervals."""
    rows = []
    trained = dict(data.runs.select("mixture", "languages").unique("mixture").iter_rows())
    by_family = scores.group_by("model", "evaluation", "family", maintain_order=True)
    for (model, evaluation, family), part in by_family:
        largest = part.sort("dose")["mixture"][-1]
        tags = [one.tag for one in data.languages if one.tag != ENGLISH]
        zero = part.filter(pl.col("dose") == 0, pl.col("languages").is_in(tags), pl.col("value").is_not_null())
        for group, members in (
            ("seen", [tag for tag in tags if tag in trained[largest]]),
            ("unseen", [tag for tag in tags if tag not in trained[largest]]),
        ):
            values = zero.filter(pl.col("languages").is_in(members))
            if members and values.height == len(members):
                row = {"model": model, "evaluation": evaluation, "family": family, "group": group, "dose": 0}
                row |= {name: part[name][0] for name in ("metric", "estimand")}
                rows.append(row | {"mixture": values["mixture"][0], "value": values["value"].mean()})
    return pl.DataFrame(rows, schema_overrides={"dose": pl.Int64}) if rows else scores.clear()


def shade() -> pl.Expr:
    """A shown value in hundredths of its metric's range: the value itself for shares."""
    width = {metric: high - low for metric, (low, high) in RANGES.items()}
    return (pl.col("value") * POINTS / pl.col("metric").replace_strict(width, default=POINTS)).round(2)


def tile_text(value: float, metric: str) -> str:
    """A shown gain in a tile: whole points, or a rating with one decimal."""
    return f"{value:+.1f}".replace("-", "−") if metric in RANGES else f"{value:+.0f}".replace("-", "−")


def heat_map(table: pl.DataFrame, tags: list[str], order: list[str], *, across: int = 1) -> Any:
    """Heat maps of mixtures x languages, one per `panel`: full tiles if `clear`, small tiles if not, outlined if
    `seen`.

    Args:
        table: panel, mixture, languages, name, value (as shown), shade (hundredths of the metric's range), interval,
            seen, clear (the interval excludes 0), text, note.
        tags: languages in their order.
        order: mixtures in their order.
        across: maps per row.
    """
    import altair as alt

    reach = float(max(5.0, table["shade"].abs().max() or 0.0))  # type: ignore[arg-type]
    step = max(24, min(52, 760 // len(tags)))
    ratings = bool((table["shade"] != table["value"]).any())
    base = alt.Chart().encode(
        x=alt.X(
            "languages:N",
            sort=tags,
            title=None,
            axis=alt.Axis(orient="top", labelAngle=0, domain=False, ticks=False, labelFontSize=11.5),
        ),
        y=alt.Y(
            "mixture:N",
            sort=order,
            title=None,
            axis=alt.Axis(domain=False, ticks=False, labelPadding=8, minExtent=label_width(order)),
        ),
        tooltip=[
            alt.Tooltip("mixture:N"),
            alt.Tooltip("name:N", title="language"),
            alt.Tooltip("value:Q", title="gain", format="+.2f" if ratings else "+.1f"),
            alt.Tooltip("interval:N"),
            alt.Tooltip("seen:N", title="trained on"),
            alt.Tooltip("note:N"),
        ],
    )
    colour = alt.Color(
        "shade:Q",
        scale=alt.Scale(domain=[-reach, reach], domainMid=0, interpolate="rgb"),
        legend=alt.Legend(
            title="gain (% of the range)" if ratings else "gain (points)",
            orient="bottom",
            direction="horizontal",
            gradientLength=220,
        ),
    )
    full, small = alt.RelativeBandSize(band=0.94), alt.RelativeBandSize(band=0.36)
    strong = abs(alt.datum.shade) > 0.62 * reach
    given = alt.expr.isValid(alt.datum.value)
    layers = [
        base.mark_rect(width=full, height=full, cornerRadius=3).encode(color=colour).transform_filter("datum.clear"),
        base.mark_rect(width=small, height=small, cornerRadius=2)
        .encode(color=colour)
        .transform_filter(~alt.datum.clear & given),
        base.mark_rect(
            width=full, height=full, cornerRadius=3, filled=False, strokeWidth=1.2, style="outline"
        ).transform_filter("datum.seen"),
        base.mark_text(style="on-strong").encode(text="text:N").transform_filter(alt.datum.clear & strong),
        base.mark_text(style="on-weak").encode(text="text:N").transform_filter(alt.datum.clear & ~strong),
        base.mark_text(text="·", style="note", fontSize=14).transform_filter(~given),
    ]
    charts = [
        alt.layer(*layers, data=alt.NamedData(name=name)).properties(
            title=name, width=alt.Step(step), height=alt.Step(28)
        )
        for name in table["panel"].unique(maintain_order=True)
    ]
    rows: list[Any] = charts
    if across > 1:
        rows = [alt.hconcat(*charts[start : start + across], spacing=26) for start in range(0, len(charts), across)]
    return alt.vconcat(*rows, spacing=26).resolve_scale(color="shared")


def label_width(labels: list[str]) -> int:
    """Width of the longest label in pixels, for the alignment of panels in a column."""
    return min(260, 12 + 6 * max(map(len, labels), default=0))
