"""Figures of the second paper (arXiv 2504.16677, P2), with intervals that resample items jointly for all cells."""

from __future__ import annotations

from typing import Any

import polars as pl

from crosslift.languages.language import language
from crosslift.reporting.data import ReportData
from crosslift.reporting.figure import Figure
from crosslift.reporting.figures.panels import SMALL_HEIGHT, SMALL_WIDTH, dose_scale, facets, several_units, shown_unit
from crosslift.reporting.wording import factor_of, interval_text
from crosslift.transfer.grid.cells import Cells
from crosslift.transfer.grid.doses import dose_series, mean_by_dose

NO_DOSES = "Not drawn: the study has no family of kind “dose”."
"""Caption if the study lacks dose families."""


def _dose_lines(about: dict[str, Any], table: pl.DataFrame, colour: str, unit: str, caption: str) -> Figure:
    """Lines over doses with intervals, one panel each, coloured by a column."""
    import altair as alt

    unit = f"{unit} ({shown_unit(table)})"
    ticks = sorted(table["dose"].unique())
    base = alt.Chart(width=SMALL_WIDTH, height=SMALL_HEIGHT).encode(
        x=alt.X(
            "dose:Q",
            title="examples per language",
            scale=dose_scale(ticks),
            axis=alt.Axis(values=ticks, grid=False, labelOverlap=True),
        ),
        color=alt.Color(
            f"{colour}:N",
            sort=table[colour].unique(maintain_order=True).to_list(),
            legend=alt.Legend(title=None, orient="top"),
        ),
        tooltip=[f"{colour}:N", "dose:Q", alt.Tooltip("value:Q", title=unit), "interval:N"],
    )
    y = alt.Y("value:Q", title=unit)
    chart = alt.layer(
        base.mark_rule(strokeWidth=1.5).encode(y=alt.Y("low:Q", title=unit), y2="high:Q"),
        base.mark_line(strokeWidth=2).encode(y=y),
        base.mark_point(filled=True, size=46).encode(y=y, shape=alt.Shape(f"{colour}:N", legend=None)),
    )
    return Figure(
        **about,
        datasets={"rows": table},
        chart=facets(chart, table, columns=3, own_scales=several_units(table)),
        caption=caption,
    )


def _spread_rows(part: Cells, about: dict[str, Any], dose_series: list[int], draws: Any) -> list[dict[str, Any]]:
    rows = []
    metric = part.table["metric"][0]
    by = factor_of(metric)
    for dose, line in zip(dose_series, draws, strict=True):
        interval = part.interval(line)
        shown = {"value": interval.value, "low": interval.low, "high": interval.high}
        rows.append(
            about
            | {"dose": dose, "metric": metric, "interval": interval_text(shown | {"metric": metric})}
            | {name: round(by * value, 2) for name, value in shown.items()}
        )
    return rows


def gap_by_dose(data: ReportData) -> Figure:
    """P2: seen minus unseen languages against examples per language."""
    about: dict[str, Any] = {"name": "gap-by-dose", "title": "Gap between seen and unseen languages (P2)"}
    rows = []
    for what, part, seen, unseen in dose_series(data.cells):
        if seen and unseen:
            found, of_seen = mean_by_dose(part, seen)
            _, of_unseen = mean_by_dose(part, unseen)
            panel = f"{what['evaluation']} · {what['family']}"
            rows += _spread_rows(part, {"panel": panel, "model": what["model"]}, found, of_seen - of_unseen)
    if not rows:
        return Figure(**about, caption=NO_DOSES)
    caption = (
        "Mean over the training languages of the largest dose minus mean over the other languages, without English. "
        "The "
        "gap at dose 0 is the difference between the languages before training on them."
    )
    return _dose_lines(about, pl.DataFrame(rows), "model", "seen minus unseen", caption)


def by_setting(data: ReportData) -> Figure:
    """P2: single-task against multi-task training, mean over the non-English languages."""
    about: dict[str, Any] = {"name": "by-setting", "title": "Single-task against multi-task training (P2)"}
    rows, several = [], set()
    for what, part, seen, unseen in dose_series(data.cells):
        setting = "several tasks" if "+" in part.table["setting"][0] else "one task"
        panel = f"{what['model']} · {what['evaluation']}"
        if setting == "several tasks":
            several.add(panel)
        if what["family"] in _widest_families(data):
            found, others = mean_by_dose(part, [*seen, *unseen])
            rows += _spread_rows(part, {"panel": panel, "setting": setting}, found, others)
    rows = [row for row in rows if row["panel"] in several]
    if not rows:
        return Figure(**about, caption="Not drawn: no dose family trains on several tasks.")
    caption = (
        "Mean over the non-English evaluation languages. The fixed amount of English differs between the settings."
    )
    return _dose_lines(about, pl.DataFrame(rows), "setting", "score", caption)


def _widest_families(data: ReportData) -> set[str]:
    """Dose families with the most training languages; families restricted to one script are in `by_script`."""
    table = data.cells.table.filter(pl.col("dose").is_not_null())
    sizes = table.group_by("family").agg(pl.col("languages").list.len().max().alias("size"))
    return set(sizes.filter(pl.col("size") == pl.col("size").max())["family"])


def by_script(data: ReportData) -> Figure:
    """P2: evaluation languages in Latin and in other scripts, by the training languages of the mixtures."""
    about: dict[str, Any] = {
        "name": "by-script",
        "title": "Scores by script, for training languages of different scripts (P2)",
    }
    rows = []
    trained = set()
    for what, part, seen, unseen in dose_series(data.cells):
        if "+" in part.table["setting"][0]:
            continue
        trained.add(tuple(sorted(seen)))
        for script, tags in _by_script([*seen, *unseen]).items():
            found, means = mean_by_dose(part, tags)
            panel = f"{what['model']} · {what['evaluation']} · {script}"
            rows += _spread_rows(part, {"panel": panel, "trained on": ", ".join(seen)}, found, means)
    models: dict[str, set[str]] = {row["panel"]: set() for row in rows}
    for row in rows:
        models[row["panel"]].add(row["trained on"])
    rows = [row for row in rows if len(models[row["panel"]]) > 1]
    if not rows:
        return Figure(**about, caption="Not drawn: no two dose families differ in their languages.")
    caption = (
        "Mean over the evaluation languages of a script, without English; lines are the training languages apart from "
        "English."
    )
    return _dose_lines(about, pl.DataFrame(rows), "trained on", "score", caption)


def _by_script(tags: list[str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for tag in tags:
        groups.setdefault("Latin script" if language(tag).script == "Latn" else "other scripts", []).append(tag)
    return groups
