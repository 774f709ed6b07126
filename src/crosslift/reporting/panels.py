"""What the figures have in common: the frame behind a figure, and small multiples."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import polars as pl

from crosslift.reporting.answers import points
from crosslift.reporting.data import ReportData
from crosslift.transfer.groups import ENGLISH


@dataclass(frozen=True, kw_only=True)
class Figure:
    name: str
    title: str
    caption: str
    """How to read it; why it is not drawn where `chart` is None."""
    chart: Any = None
    """An Altair chart over data by name: Altair copies what it is given many times over."""
    datasets: dict[str, pl.DataFrame] = field(default_factory=dict)

    def spec(self) -> dict[str, Any]:
        """The Vega-Lite specification, with its data and without colours and type."""
        spec: dict[str, Any] = self.chart.to_dict(validate=False)
        spec.pop("config", None)
        own = {name: table.to_dicts() for name, table in self.datasets.items()}
        return spec | {"datasets": spec.get("datasets", {}) | own}


def panel(data: ReportData) -> pl.Expr:
    """The facet that a row belongs to: the model, and the evaluation where there are several."""
    return pl.format("{} · {}", "model", "evaluation") if len(data.evaluations) > 1 else pl.col("model")


def hundredfold(table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(
        (pl.col("value", "low", "high") * 100).round(2),
        interval=pl.struct("low", "high").map_elements(
            lambda row: f"[{points(row['low'])}, {points(row['high'])}]" if row["low"] is not None else "none",
            return_dtype=pl.String,
            skip_nulls=False,
        ),
    )


def facets(chart: Any, table: pl.DataFrame, order: list[str] | None = None, *, columns: int = 2) -> Any:
    import altair as alt

    panels = order or table["panel"].unique(maintain_order=True).to_list()
    facet = alt.Facet("panel:N", sort=panels, title=None, header=alt.Header(labelAnchor="start"))
    return chart.facet(facet, columns=columns, data=alt.NamedData(name="rows"), spacing=34)


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


def start_of_doses(data: ReportData, scores: pl.DataFrame) -> pl.DataFrame:
    """Seen and unseen at dose 0, by the languages that the largest dose of the family trains on; without intervals."""
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
                rows.append(row | {"mixture": values["mixture"][0], "value": values["value"].mean()})
    return pl.DataFrame(rows, schema_overrides={"dose": pl.Int64}) if rows else scores.clear()


def extent(labels: list[str]) -> int:
    """Width in pixels that the longest label takes, so that the panels of a column stand flush."""
    return min(260, 12 + 6 * max(map(len, labels), default=0))
