"""Resampled means of every condition in every language, the input of statistics over the whole grid.

A statistic over cells (a median of gains, a share of wins, a regression) is a function of their values. The function is
also applied to the resampled values, in which all cells of an evaluation share the resampled items. The resulting
distribution gives the confidence interval and preserves the dependence between cells with a common baseline or common
items.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from crosslift.scores import metric_range
from crosslift.transfer.estimates.conditions import ResampledPanel, conditions
from crosslift.transfer.estimates.panel import panels, scores_of
from crosslift.transfer.estimates.resampling import expanded_percentile_interval

NUM_RESAMPLES = 1000
"""Default number of bootstrap resamples."""

CELLS = pl.Schema(
    {
        "evaluation": pl.String(),
        "task": pl.String(),
        "metric": pl.String(),  # the primary one of the evaluation
        "model": pl.String(),
        "mixture": pl.String(),  # "base" for the untouched model
        "family": pl.String(),
        "setting": pl.String(),  # the tasks trained on, joined by "+"
        "languages": pl.List(pl.String()),  # trained on
        "dose": pl.Int64(),
        "num_parameters": pl.Int64(),
        "num_seeds": pl.Int64(),
        "language": pl.String(),  # evaluated
        "value": pl.Float64(),  # mean over items and seeds; null where it cannot be given
    }
)


@dataclass(frozen=True, kw_only=True)
class IntervalEstimate:
    """An estimate with the confidence interval over resampled items. Run-to-run noise is not included."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0

    def as_columns(self, prefix: str = "") -> dict[str, float]:
        """The columns mean, low and high of a table, with a prefix."""
        return {f"{prefix}mean": self.value, f"{prefix}low": self.low, f"{prefix}high": self.high}


@dataclass(frozen=True, kw_only=True)
class Cells:
    """Cells with their resampled means."""

    table: pl.DataFrame
    """Columns as in CELLS, one row per cell."""
    draws: np.ndarray
    """Shape (cells, 1 + resamples); entry 0 is the observed mean. NaN in rows whose value is null."""
    num_clusters: Mapping[str, int]
    """Evaluation -> number of clusters of items."""
    level: float = 0.95
    """Coverage of the intervals."""
    num_items: Mapping[str, int] = field(default_factory=dict)
    """Evaluation -> number of items."""

    def where(self, *conditions: pl.Expr, **equal: object) -> Cells:
        """The cells that satisfy all conditions and have a value.

        Args:
            conditions: expressions over the columns of CELLS.
            equal: column -> required value.
        """
        chosen = self.table.with_row_index("_row").filter(pl.col("value").is_not_null(), *conditions, **equal)
        return Cells(
            table=chosen.drop("_row"),
            draws=self.draws[chosen["_row"].to_numpy()],
            num_clusters=self.num_clusters,
            level=self.level,
            num_items=self.num_items,
        )

    @property
    def metrics(self) -> dict[str, str]:
        """Evaluation -> its metric."""
        return dict(self.table.select("evaluation", "metric").unique(maintain_order=True).iter_rows())

    def width(self, evaluation: str) -> float:
        """Highest minus lowest value of an evaluation's metric: 1 for shares."""
        low, high = metric_range(self.metrics[evaluation])
        return high - low

    def mean(self) -> np.ndarray:
        """Mean over all cells, shape (1 + resamples,)."""
        return np.asarray(self.draws.mean(axis=0))

    def interval(self, draws: np.ndarray) -> IntervalEstimate:
        """Confidence interval of a statistic of these cells.

        Args:
            draws: the statistic, observed and under each resample, shape (1 + resamples,).
        """
        fewest = min(self.num_clusters[name] for name in self.table["evaluation"].unique())
        found = expanded_percentile_interval(draws, num_clusters=fewest, level=self.level)
        return IntervalEstimate(value=float(draws[0]), low=found.low, high=found.high)

    def index(self, *columns: str) -> dict[tuple[object, ...], int]:
        """Values of columns -> row position. The columns must identify cells; otherwise the last row of equal keys is
        returned."""
        return {key: row for row, key in enumerate(self.table.select(columns).iter_rows())}


def cells(
    scores: pl.DataFrame,
    runs: pl.DataFrame,
    primary_metrics: Mapping[str, str],
    *,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
    level: float = 0.95,
) -> Cells:
    """Resampled means of all conditions in all languages, in the primary metric of each evaluation.

    Args:
        scores: columns as in `crosslift.scores.SCORES`.
        runs: columns as in `crosslift.scores.RUNS`.
        primary_metrics: evaluation -> primary metric.
        num_resamples: bootstrap resamples.
        seed: of the resampling.
        level: coverage of the intervals.

    Raises:
        TransferError: the tables are inconsistent, see `panel.panels`.
    """
    primary = scores_of(scores, primary_metrics)
    facts = {
        (row["model"], row["mixture"]): row
        for row in runs.unique(["model", "mixture"], keep="first", maintain_order=True).iter_rows(named=True)
    }
    rows: list[dict[str, object]] = []
    draws: list[np.ndarray] = [np.empty((0, 1 + num_resamples))]
    num_clusters: dict[str, int] = {}
    num_items: dict[str, int] = {}
    for panel in panels(primary, runs):
        num_clusters[panel.evaluation] = panel.num_clusters
        num_items[panel.evaluation] = int(panel.num_items.max(axis=0).sum())
        resampled = ResampledPanel(
            panel=panel, conditions=tuple(conditions(runs).values()), num_resamples=num_resamples, seed=seed
        )
        for condition in resampled.evaluated_conditions:
            positions = resampled.run_positions[condition.key]
            fact = facts[condition.key]
            means = resampled.condition_means(condition.key).copy()
            for place, tag in enumerate(panel.languages):
                given = not panel.unavailable_reason(positions, np.array([place]))
                means[place] = means[place] if given else np.nan
                rows.append(
                    {name: fact[name] for name in ("family", "setting", "languages", "dose", "num_parameters")}
                    | {
                        "evaluation": panel.evaluation,
                        "task": panel.task,
                        "metric": panel.metric,
                        "model": condition.model,
                        "mixture": condition.mixture,
                        "num_seeds": len(positions),
                        "language": tag,
                        "value": float(means[place, 0]) if given else None,
                    }
                )
            draws.append(means)
    table = pl.DataFrame(rows, schema=CELLS)
    # In the order of the runs, not of the panels: figures and tables follow the study file.
    order_of = {key: number for number, key in enumerate(facts)}
    number = pl.struct("model", "mixture").map_elements(
        lambda row: order_of[row["model"], row["mixture"]], return_dtype=pl.Int64
    )
    order = (
        table.select(pl.arg_sort_by(number, maintain_order=True)).to_series()
        if rows
        else pl.Series([], dtype=pl.UInt32)
    )
    return Cells(
        table=table[order],
        draws=np.concatenate(draws)[order.to_numpy()],
        num_clusters=num_clusters,
        level=level,
        num_items=num_items,
    )
