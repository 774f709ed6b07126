"""The figures of a report, one function each.

A figure is drawn wherever the data allow it and otherwise says why not. All are in the primary metric of their task, in
points (hundredths), and name no colour: see `theme`.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from crosslift.languages.similarity import order_by_similarity
from crosslift.reporting.data import ReportData
from crosslift.reporting.figures.panels import (
    Figure,
    conditions,
    dose_panel,
    dose_scale,
    extent,
    facets,
    heat_map,
    hundredfold,
    panel,
    start_of_doses,
)
from crosslift.reporting.figures.variance import variance
from crosslift.reporting.papers.tables import dose_statistics
from crosslift.reporting.sentences import verdict
from crosslift.transfer.estimates.language_groups import ENGLISH

PANEL_WIDTH, PANEL_HEIGHT = 380, 240
SMALL_WIDTH, SMALL_HEIGHT = 236, 150
CROWDED = 8
"""Panels of doses, above which they are small and three to a row."""
FOREST_WIDTH = 560
MAX_TRAINING_PANELS = 12
MAX_FOREST_ROWS = 60
VERDICTS = ("supports", "contradicts", "cannot tell")
VERDICT_WORDS = ("gain", "loss", "interval holds 0")


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
    table = hundredfold(table).select(columns)
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
    y = alt.Y("value:Q", title="score (points)", scale=alt.Scale(zero=True))
    chart = alt.layer(
        base.mark_rule(strokeWidth=1.6).encode(y=alt.Y("low:Q", title="score (points)"), y2="high:Q"),
        base.mark_line(strokeWidth=2).encode(y=alt.Y("mean(value):Q", title="score (points)")),
        base.mark_point(filled=True, size=52)
        .encode(y=y, tooltip=tooltip, shape=alt.Shape("group:N", legend=None))
        .add_params(pick),
    )
    return Figure(
        **about,
        datasets={"rows": table},
        chart=facets(chart, table),
        caption="Each point is a mixture with its interval; lines join the means over mixtures with equally many "
        "languages. Click the legend to single out a group.",
    )


def score_by_dose(data: ReportData) -> Figure:
    """Score of English, seen and unseen languages against examples per language (arXiv 2504.16677)."""
    flat = dose_statistics(data)
    if not flat.is_empty():
        flat = flat.filter("plateau_told").select("evaluation", "model", "family", "plateau_low", "plateau_high")
    title = "Score against examples per language"
    return _by_dose(data, "score", name="score-by-dose", title=title, unit="score (points)", flat=flat)


def relative_by_dose(data: ReportData) -> Figure:
    """Score relative to English against examples per language (arXiv 2504.16677)."""
    title = "Score relative to English against examples per language"
    return _by_dose(data, "relative_to_english", name="relative-by-dose", title=title, unit="% of the English score")


def _by_dose(
    data: ReportData, estimand: str, *, name: str, title: str, unit: str, flat: pl.DataFrame | None = None
) -> Figure:
    """`flat`: where the plateau of each series may begin, drawn as a band."""
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
    # Without any dose no language is seen yet. The curves still begin there: with the languages that later doses see.
    table = pl.concat(
        [table.filter((pl.col("dose") > 0) | (pl.col("group") == "English")), start_of_doses(data, scores)],
        how="diagonal",
    )
    columns = ["panel", "dose", "group", "value", "low", "high", "interval", "mixture", "trained", "examples", "family"]
    if flat is not None and not flat.is_empty():
        table = table.join(flat, on=["evaluation", "model", "family"], how="left", maintain_order="left")
        columns += ["plateau_low", "plateau_high"]
    table = (
        hundredfold(table.with_columns(panel=dose_panel(data, scores))).select(columns).sort("panel", "group", "dose")
    )
    order = scores.with_columns(panel=dose_panel(data, scores))["panel"].unique(maintain_order=True).to_list()
    pick = alt.selection_point(fields=["group"], bind="legend", name=f"pick_{estimand}")
    ticks = sorted(table["dose"].unique())
    crowded = table["panel"].n_unique() > CROWDED
    width, height = (SMALL_WIDTH, SMALL_HEIGHT) if crowded else (PANEL_WIDTH, PANEL_HEIGHT)
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
        chart=facets(alt.layer(*layers), table, order, columns=3 if crowded else 2),
        caption="Seen and unseen are without English. Points at 0 examples without an interval are means over the "
        "languages that the larger doses train on, or not. The horizontal axis is logarithmic above its first step."
        + (" Bands: where the mean over the other languages may begin to be flat, with 95 %." if bands else ""),
    )


def transfer_heat_map(data: ReportData) -> Figure:
    """Gain over the control per mixture x evaluated language."""
    about: dict[str, Any] = {"name": "transfer", "title": "Transfer: what each mixture does to each language"}
    tags = order_by_similarity([one.tag for one in data.languages])
    names = {one.tag: one.name for one in data.languages}
    gains = data.primary.filter(
        pl.col("estimand") == "gain", pl.col("languages").is_in(tags), ~pl.col("mixture").str.starts_with("mean of ")
    )
    declared = {contrast.name: place for place, contrast in enumerate(data.study.contrasts)}
    gains = gains.sort(pl.col("declared").replace_strict(declared, return_dtype=pl.Int64), maintain_order=True)
    gains = gains.unique(["model", "evaluation", "mixture", "control", "languages"], keep="first", maintain_order=True)
    if gains["value"].drop_nulls().is_empty():
        return Figure(**about, caption="Not drawn: no contrast is declared, or none of its runs is finished.")
    trained = dict(data.runs.select("mixture", "languages").unique("mixture").iter_rows())
    table = (
        hundredfold(gains)
        .with_columns(panel=pl.format("{} minus {}", panel(data), "control"))
        .with_columns(
            seen=pl.struct("mixture", "languages").map_elements(
                lambda row: row["languages"] in trained.get(row["mixture"], []), return_dtype=pl.Boolean
            ),
            clear=((pl.col("low") > 0) | (pl.col("high") < 0)).fill_null(False),
            name=pl.col("languages").replace(names),
            text=pl.col("value").map_elements(lambda value: f"{value:+.0f}".replace("-", "−"), return_dtype=pl.String),
        )
        .select(
            "panel", "mixture", "control", "languages", "name", "value", "interval", "seen", "clear", "text", "note"
        )
    )
    order = [name for name in data.mixtures if name in set(table["mixture"])]
    return Figure(
        **about,
        chart=heat_map(table, tags, order),
        datasets={str(name): part for (name,), part in table.group_by("panel", maintain_order=True)},
        caption="A full tile is a gain (blue) or loss (orange) in points whose interval excludes 0; a small tile is a "
        "difference whose interval holds 0; an outline marks the languages that the mixture trains on. Languages stand "
        "beside those that are like them in descent, syntax and script.",
    )


def forest(data: ReportData) -> Figure:
    """Every declared contrast with its interval: the mean over treatments first, then each treatment."""
    import altair as alt

    about: dict[str, Any] = {"name": "contrasts", "title": "Declared contrasts"}
    table = data.primary.filter(pl.col("estimand") == "gain", pl.col("languages") == "all", pl.col("low").is_not_null())
    if table.is_empty():
        return Figure(**about, caption="Not drawn: no contrast is declared, or none of its runs is finished.")
    words = dict(zip(VERDICTS, VERDICT_WORDS, strict=True))
    table = hundredfold(
        table.with_columns(
            verdict=pl.struct("low", "high").map_elements(
                lambda row: words[verdict(row["low"], row["high"])], return_dtype=pl.String
            ),
            label=pl.format("{} · {}", panel(data), "mixture"),
            pooled=pl.col("mixture").str.starts_with("mean of "),
            primary_contrast=pl.col("declared").is_in([one.name for one in data.study.contrasts if one.primary]),
        )
    ).select(
        "declared", "primary", "model", "label", "mixture", "control", "value", "low", "high", "interval", "verdict",
        "pooled", "primary_contrast", "p_adjusted", "note",
    )  # fmt: skip
    note = ""
    if table.height > MAX_FOREST_ROWS:
        alone = pl.len().over("declared", "model") == 1
        table = table.filter(pl.col("pooled") | alone)
        note = " The treatments one by one are in the table."
    shapes = alt.Scale(domain=list(VERDICT_WORDS), range=["triangle-right", "triangle-left", "circle"])
    legend = alt.Legend(title=None, orient="top")
    tooltip = [
        alt.Tooltip("label:N", title="treatment"),
        alt.Tooltip("control:N", title="control"),
        alt.Tooltip("value:Q", title="gain (points)", format="+.1f"),
        alt.Tooltip("interval:N", title="interval"),
        alt.Tooltip("p_adjusted:Q", title="adjusted p", format=".3f"),
        alt.Tooltip("note:N", title="note"),
    ]
    title = "gain over the control, all languages (points)"
    axis = alt.Axis(domain=False, ticks=False, labelPadding=8, minExtent=extent(table["label"].to_list()))
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
            color=alt.Color("verdict:N", scale=alt.Scale(domain=list(VERDICT_WORDS)), legend=legend),
            tooltip=tooltip,
        )
        alike = table.filter(primary_contrast=contrast.primary)
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
        caption="Gain over the control, mean over all evaluated languages. Large marks are means over the "
        "treatments of a contrast. Primary contrasts are corrected for multiplicity by Holm, the others by "
        f"Benjamini-Hochberg.{note}",
    )


def training_curves(data: ReportData) -> Figure:
    """Bits per byte per language over training."""
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
        caption=f"Bits per UTF-8 byte of {what}, which languages and tokenizers can be compared in; first seed of each "
        f"condition.{note}",
    )


FIGURES = (
    forest, score_by_num_languages, score_by_dose, relative_by_dose, transfer_heat_map, variance, training_curves,
)  # fmt: skip
