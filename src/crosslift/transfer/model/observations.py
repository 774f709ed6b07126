"""Results as input of the transfer model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from crosslift.errors import TransferError

Amounts = Mapping[str, float]
"""Training language -> amount, in items or tokens; all mixtures must use the same unit."""

AMOUNT_UNIT = 100.0
"""Default of `Observations.amount_unit`, in items."""
UNKNOWN_ITEMS = 10_000.0
"""Effective number of items of a score that is published without any: its noise (half a point at most) is then part of
the noise between runs, which is estimated."""


@dataclass(frozen=True, kw_only=True)
class Observations:
    """Cells of one task and metric, one row per run x evaluation language."""

    values: np.ndarray
    """Scores, shape (n,)."""
    runs: np.ndarray
    """Labels of the runs, shape (n,)."""
    models: np.ndarray
    """Names of the models, shape (n,)."""
    languages: np.ndarray
    """Tags of the evaluation languages, shape (n,)."""
    mixtures: np.ndarray
    """Labels of the mixtures, shape (n,); equal labels have equal amounts."""
    amounts: Mapping[str, Amounts]
    """Label of a mixture -> its amounts."""
    sizes: Mapping[str, float] = field(default_factory=dict)
    """Model -> log10 of its number of parameters, where known."""
    fertility: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """(model, language) -> log of tokens per item, where known."""
    num_effective: np.ndarray | None = None
    """Effective number of items behind each score, shape (n,), see `measurement`; None if no score's is known."""
    low: float = 0.0
    """Lower end of the metric's range."""
    high: float = 1.0
    """Upper end of the metric's range."""
    amount_unit: float = AMOUNT_UNIT
    """Amounts enter as log(1 + amount / amount_unit): the first amount_unit have the effect of one later doubling."""

    def __post_init__(self) -> None:
        if len(self.values) and not ((self.values >= self.low) & (self.values <= self.high)).all():
            raise TransferError(
                f"scores must be between {self.low:g} and {self.high:g}, the range of the metric; there are scores "
                f"from {self.values.min():g} to {self.values.max():g}."
            )

    @property
    def shares(self) -> np.ndarray:
        """Scores as shares of the metric's range, shape (n,)."""
        return (self.values - self.low) / (self.high - self.low)

    @property
    def items(self) -> np.ndarray:
        """Effective number of items behind each score, shape (n,); UNKNOWN_ITEMS where it is unknown."""
        if self.num_effective is None:
            return np.full(len(self.values), UNKNOWN_ITEMS)
        return np.where(self.num_effective > 0, self.num_effective, UNKNOWN_ITEMS)

    def take(self, rows: np.ndarray) -> Observations:
        """The observations of some rows.

        Args:
            rows: positions or a mask, shape (rows,).
        """
        return Observations(
            values=self.values[rows],
            runs=self.runs[rows],
            models=self.models[rows],
            languages=self.languages[rows],
            mixtures=self.mixtures[rows],
            amounts=self.amounts,
            sizes=self.sizes,
            fertility=self.fertility,
            num_effective=None if self.num_effective is None else self.num_effective[rows],
            low=self.low,
            high=self.high,
            amount_unit=self.amount_unit,
        )


def content_key(amounts: Amounts) -> tuple[tuple[str, int], ...]:
    """What identifies a mixture: its languages with whole amounts above 0, whatever their order."""
    return tuple(sorted((tag, round(amount)) for tag, amount in amounts.items() if round(amount) > 0))


def observations_of(
    cells: pl.DataFrame, *, low: float = 0.0, high: float = 1.0, amount_unit: float = AMOUNT_UNIT
) -> Observations:
    """Build observations from cells of one task and metric.

    Args:
        cells: columns run, model, language, value, `languages` and `amounts` (of the run, aligned with each other),
            optionally `num_effective` (effective number of items, 0 or null if unknown), `num_parameters` and
            `num_tokens` (aligned with `amounts`, which are then items). Runs with equal amounts have the same mixture,
            whatever its name and the order of its languages.
        low: lower end of the metric's range.
        high: upper end of the metric's range.
        amount_unit: see `Observations.amount_unit`.

    Raises:
        TransferError: amounts are missing, a run has unequal numbers of languages and amounts, or a score is outside
            the range.
    """
    if cells["amounts"].null_count():
        raise TransferError("the amounts of the training languages are unknown for some runs.")
    labels: dict[tuple[tuple[str, int], ...], str] = {}
    mixtures = []
    for row in cells.select("languages", "amounts").iter_rows(named=True):
        if len(row["languages"]) != len(row["amounts"]):
            raise TransferError("a run has unequal numbers of languages and amounts.")
        key = tuple(sorted((tag, n) for tag, n in zip(row["languages"], row["amounts"], strict=True) if n))
        mixtures.append(labels.setdefault(key, f"mixture {len(labels)}"))
    return Observations(
        values=cells["value"].to_numpy(),
        runs=cells["run"].to_numpy().astype(str),
        models=cells["model"].to_numpy().astype(str),
        languages=cells["language"].to_numpy().astype(str),
        mixtures=pl.Series(mixtures).to_numpy().astype(str),
        sizes=log_sizes(cells),
        fertility=_fertility(cells),
        num_effective=cells["num_effective"].cast(pl.Float64).fill_null(0.0).to_numpy()
        if "num_effective" in cells.columns
        else None,
        low=low,
        high=high,
        amount_unit=amount_unit,
        amounts={label: {tag: float(amount) for tag, amount in key} for key, label in labels.items()},
    )


def log_sizes(cells: pl.DataFrame) -> dict[str, float]:
    """Model -> log10 of its number of parameters; models of unknown size are omitted."""
    if "num_parameters" not in cells.columns:
        return {}
    known = cells.filter(pl.col("num_parameters") > 0).unique("model")
    return {row["model"]: math.log10(row["num_parameters"]) for row in known.iter_rows(named=True)}


def _fertility(cells: pl.DataFrame) -> dict[tuple[str, str], float]:
    """Log of tokens per item, over all runs of a model."""
    if "num_tokens" not in cells.columns:
        return {}
    runs = cells.unique("run").filter(pl.col("num_tokens").list.len() == pl.col("amounts").list.len())
    long = runs.select("model", "languages", "amounts", "num_tokens").explode("languages", "amounts", "num_tokens")
    sums = long.drop_nulls().group_by("model", "languages").agg(pl.col("amounts").sum(), pl.col("num_tokens").sum())
    return {
        (row["model"], row["languages"]): math.log(row["num_tokens"] / row["amounts"])
        for row in sums.filter(pl.col("amounts") > 0, pl.col("num_tokens") > 0).iter_rows(named=True)
    }
