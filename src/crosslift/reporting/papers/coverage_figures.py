"""Figures of the first paper (arXiv 2604.13286, P1), with our own estimates.

They can be drawn for any study of the same design. Intervals resample items jointly for all cells
(`transfer.grid.cells`).
"""

from __future__ import annotations

from typing import Any

import polars as pl

from crosslift.reporting.data import ReportData
from crosslift.reporting.figure import Figure
from crosslift.reporting.figures.panels import SMALL_WIDTH, facets, heat_map, shade, tile_text
from crosslift.reporting.wording import POINTS, factor_of, interval_text
from crosslift.transfer.estimates.language_groups import ENGLISH
from crosslift.transfer.grid import bilingual
from crosslift.transfer.grid.zero_shot import zero_shot_differences

NO_BILINGUAL = "Not drawn: the study has no English-only and bilingual mixtures in one family."
"""Caption if the study lacks the mixtures of these figures."""
PRINTED, OURS = "as published: median, cells resampled", "ours: mean, items resampled"


def _shown(data: ReportData, *columns: str) -> list[pl.Expr]:
    """Columns in the unit in which the metric of the row's evaluation is shown."""
    by = {name: factor_of(data.metric(name)) for name in data.evaluations}
    factor = pl.col("evaluation").replace_strict(by, default=POINTS, return_dtype=pl.Float64)
    return [(factor * pl.col(name)).round(2).alias(name) for name in columns]


def _interval() -> pl.Expr:
    return pl.format("[{}, {}]", pl.col("low").round(1), pl.col("high").round(1)).alias("interval")


def bilingual_gains(data: ReportData) -> Figure:
    """P1, Figure 3: bilingual minus English-only in English, in the added language, and in other languages."""
    import altair as alt

    about: dict[str, Any] = {"name": "bilingual-gains", "title": "Bilingual minus English-only (P1, Figure 3)"}
    found = bilingual.bilingual_statistics(data.cells)
    if found.is_empty():
        return Figure(**about, caption=NO_BILINGUAL)
    if found["evaluation"].n_unique() == 2:  # one evaluation and "all", which are equal
        found = found.filter(pl.col("evaluation") != "all")
    printed = found.select(
        "evaluation", "group", value="median", low="median_low", high="median_high", reading=pl.lit(PRINTED)
    )
    ours = found.select("evaluation", "group", "low", "high", value="mean", reading=pl.lit(OURS))
    table = pl.concat([printed, ours], how="diagonal").with_columns(
        *_shown(data, "value", "low", "high"), panel=pl.col("evaluation").replace("all", "all evaluations")
    )
    table = table.with_columns(_interval())
    readings_scale = alt.Scale(domain=[OURS, PRINTED])
    y = alt.Y(
        "group:N",
        sort=list(bilingual.EVALUATION_GROUPS),
        title=None,
        axis=alt.Axis(domain=False, ticks=False, labelPadding=8),
    )
    base = alt.Chart(width=SMALL_WIDTH, height=150).encode(
        y=y,
        yOffset=alt.YOffset("reading:N", scale=alt.Scale(domain=[OURS, PRINTED], paddingOuter=0.6)),
        color=alt.Color("reading:N", scale=readings_scale, legend=alt.Legend(title=None, orient="top", labelLimit=320)),
        tooltip=["group:N", "reading:N", alt.Tooltip("value:Q", format="+.1f"), "interval:N"],
    )
    x = alt.X("value:Q", title="gain over English-only (points)")
    chart = alt.layer(
        alt.Chart().mark_rule(style="zero", strokeDash=[3, 3]).encode(x=alt.datum(0)),
        base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title="gain over English-only (points)"), x2="high:Q"),
        base.mark_point(filled=True, size=70, opacity=1).encode(
            x=x, shape=alt.Shape("reading:N", scale=readings_scale, legend=None)
        ),
    )
    return Figure(
        **about,
        datasets={"rows": table},
        chart=facets(chart, table, columns=3),
        caption="English: score in English; direct: in the added language; transfer: in languages that "
        "the mixture does not train on. The published statistic is the median over models and mixtures; its interval "
        "assumes independent cells, although all cells share an English-only baseline.",
    )


def zero_shot_against_direct(data: ReportData) -> Figure:
    """P1, Figures 4 and 9: zero-shot transfer from many training languages against direct bilingual training."""
    import altair as alt

    about: dict[str, Any] = {
        "name": "zero-shot",
        "title": "Zero-shot at high diversity against direct at low (P1, Figures 4 and 9)",
    }
    found = zero_shot_differences(data.cells)
    if found.is_empty():
        return Figure(**about, caption=NO_BILINGUAL)
    group = (
        pl.when(pl.col("language") == ENGLISH).then(pl.lit("English")).otherwise(pl.format("{}-resource", "resource"))
    )
    table = found.with_columns(
        *_shown(data, "direct", "zero_shot", "mean", "low", "high"),
        group=group,
        panel=pl.format("{} · {} languages", "evaluation", "num_languages"),
        differs=pl.when((pl.col("low") > 0) | (pl.col("high") < 0))
        .then(pl.lit("differs"))
        .otherwise(pl.lit("cannot tell")),
    ).with_columns(_interval())
    ends = alt.Scale(domain=[0, 100])
    base = alt.Chart(width=SMALL_WIDTH, height=SMALL_WIDTH).encode(
        x=alt.X("direct:Q", title="direct: English and this language", scale=ends, axis=alt.Axis(grid=False)),
        y=alt.Y("zero_shot:Q", title="zero-shot: without this language", scale=ends),
        color=alt.Color(
            "group:N",
            scale=alt.Scale(
                domain=[name for name in ("high-resource", "low-resource", "English") if name in set(table["group"])]
            ),
            legend=alt.Legend(title=None, orient="top"),
        ),
        tooltip=[
            "model:N",
            "language:N",
            "direct:Q",
            "zero_shot:Q",
            alt.Tooltip("mean:Q", title="difference"),
            "interval:N",
        ],
    )
    chart = alt.layer(
        alt.Chart(alt.InlineData(values=[{"at": 0}, {"at": 100}]))
        .mark_line(style="zero", strokeDash=[3, 3])
        .encode(x=alt.X("at:Q", scale=ends), y=alt.Y("at:Q", scale=ends)),
        base.transform_filter("datum.differs == 'differs'").mark_point(filled=True, size=62, opacity=0.9),
        base.transform_filter("datum.differs != 'differs'").mark_point(filled=False, size=52, opacity=0.9),
    )
    return Figure(
        **about,
        datasets={"rows": table},
        chart=facets(chart, table, columns=3),
        caption="Each point is a model and a language. Both are equal on the line; the 95 % interval of the difference "
        "excludes 0 for filled points and contains 0 for hollow points. For English, direct is the mean over the "
        "bilingual "
        "mixtures.",
    )


def gain_over_base(data: ReportData) -> Figure:
    """P1, Figure 7: English-only and bilingual training minus the base model."""
    about: dict[str, Any] = {
        "name": "gain-over-base",
        "title": "English-only and bilingual minus the base model (P1, Figure 7)",
    }
    grid = bilingual.coverage_grid(data.cells).where(
        pl.col("languages").list.len() <= 2, pl.col("languages").list.contains(ENGLISH)
    )
    base = data.cells.where(mixture="base")
    at = base.index("evaluation", "model", "language")
    tags = [one.tag for one in data.languages]
    names = {one.tag: one.name for one in data.languages}
    rows = []
    for place, row in enumerate(grid.table.iter_rows(named=True)):
        key = (row["evaluation"], row["model"], row["language"])
        if key in at:
            interval = grid.interval(grid.draws[place] - base.draws[at[key]])
            metric = data.metric(row["evaluation"])
            by = factor_of(metric)
            limits = {"low": interval.low, "high": interval.high, "metric": metric}
            rows.append(
                {
                    "panel": f"{row['model']} · {row['evaluation']}",
                    "mixture": " + ".join(row["languages"]),
                    "languages": row["language"],
                    "name": names[row["language"]],
                    "value": round(by * interval.value, 2),
                    "metric": metric,
                    "interval": interval_text(limits),
                    "seen": row["language"] in row["languages"],
                    "clear": interval.excludes_zero,
                    "text": tile_text(by * interval.value, metric),
                    "note": "",
                }
            )
    if not rows:
        return Figure(
            **about, caption="Not drawn: the figure needs English-only or bilingual mixtures, and base = true."
        )
    table = pl.DataFrame(rows).with_columns(shade=shade())
    order = table["mixture"].unique(maintain_order=True).to_list()
    return Figure(
        **about,
        datasets={str(name): part for (name,), part in table.group_by("panel", maintain_order=True)},
        chart=heat_map(table, [tag for tag in tags if tag in set(table["languages"])], order, across=2),
        caption="The interval of the difference excludes 0 for full tiles and contains 0 for small tiles; an outline "
        "marks "
        "training languages.",
    )


def by_language(data: ReportData) -> Figure:
    """P1, Figure 8: each evaluation language against the number of training languages."""
    import altair as alt

    about: dict[str, Any] = {
        "name": "by-language",
        "title": "Each language against the number of training languages (P1, Figure 8)",
    }
    part = data.cells.where(pl.col("dose").is_null(), pl.col("mixture").is_in(data.grid_mixtures)).table
    part = part.with_columns(num_languages=pl.col("languages").list.len().cast(pl.Int64))
    if part.filter(pl.col("mixture") != "base")["num_languages"].n_unique() < 3:
        return Figure(
            **about,
            caption="Not drawn: the mixtures of this study have fewer than three different numbers of languages.",
        )
    names = {one.tag: one.name for one in data.languages}
    table = part.select(
        "model", "mixture", "language", "num_languages", *_shown(data, "value"),
        trained=pl.col("languages").list.contains(pl.col("language")),
        panel=pl.format("{} · {}", pl.col("evaluation"), pl.col("language").replace(names)),
    )  # fmt: skip
    order = [f"{name} · {one.name}" for name in data.evaluations for one in data.languages]
    pick = alt.selection_point(fields=["model"], bind="legend", name="pick_model")
    base = alt.Chart(width=SMALL_WIDTH, height=150).encode(
        x=alt.X("num_languages:Q", title="languages trained on (0: base model)", axis=alt.Axis(grid=False, format="d")),
        color=alt.Color("model:N", sort=list(data.models), legend=alt.Legend(title=None, orient="top")),
        opacity=alt.when(pick).then(alt.value(1)).otherwise(alt.value(0.1)),
    )
    chart = alt.layer(
        base.mark_line(strokeWidth=2).encode(y=alt.Y("mean(value):Q", title="score (points)")),
        base.mark_point(size=22, strokeWidth=1)
        .encode(
            y=alt.Y("value:Q", title="score (points)"),
            shape=alt.Shape("trained:N", scale=alt.Scale(domain=[True, False], range=["circle", "cross"]), legend=None),
            tooltip=["model:N", "mixture:N", "value:Q", alt.Tooltip("trained:N", title="trained on")],
        )
        .add_params(pick),
    )
    return Figure(
        **about,
        datasets={"rows": table},
        chart=facets(chart, table, [name for name in order if name in set(table["panel"])], columns=3),
        caption="Points are mixtures (crosses: mixtures that are not trained on the language), lines are their means. "
        "Click the legend to highlight a model.",
    )
