"""A figure: a chart with name, title, caption and data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import polars as pl


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure of a report."""

    name: str
    """File name without extension."""
    title: str
    caption: str
    """How to read the figure; why it is not drawn if `chart` is None."""
    chart: Any = None
    """An Altair chart that refers to its data by name, because Altair copies inline data repeatedly."""
    datasets: dict[str, pl.DataFrame] = field(default_factory=dict)
    """Name -> data of the chart."""

    def spec(self) -> dict[str, Any]:
        """The Vega-Lite specification with its data and without a theme."""
        spec: dict[str, Any] = self.chart.to_dict(validate=False)
        spec.pop("config", None)
        own = {name: table.to_dicts() for name, table in self.datasets.items()}
        return spec | {"datasets": spec.get("datasets", {}) | own}
