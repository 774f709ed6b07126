"""A figure: a chart with its name, title, caption and data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import polars as pl


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
