"""Tables of results as what the transfer model is fitted to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from crosslift.errors import TransferError

Amounts = Mapping[str, float]
"""Language -> how much of it a mixture holds, in items or tokens; the same unit in all mixtures."""


@dataclass(frozen=True, kw_only=True)
class Observations:
    """Cells of one task and metric: one row per run x evaluation language."""

    values: np.ndarray  # (n,)
    runs: np.ndarray  # (n,), any labels
    models: np.ndarray  # (n,)
    languages: np.ndarray  # (n,), tags
    mixtures: np.ndarray  # (n,), labels; equal labels have equal amounts
    amounts: Mapping[str, Amounts]
    """Mixture -> its amounts."""
    sizes: Mapping[str, float] = field(default_factory=dict)
    """Model -> log10 of its parameters, where known."""
    fertility: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """(model, language) -> log of tokens per item, where known."""

    def take(self, rows: np.ndarray) -> Observations:
        """Some of the rows."""
        return Observations(
            values=self.values[rows],
            runs=self.runs[rows],
            models=self.models[rows],
            languages=self.languages[rows],
            mixtures=self.mixtures[rows],
            amounts=self.amounts,
            sizes=self.sizes,
            fertility=self.fertility,
        )


def observations_of(cells: pl.DataFrame) -> Observations:
    """Cells of one task and metric.

    Args:
        cells: run, model, language, value, and of their runs `languages` and `amounts`, aligned with each other.
            Runs of equal amounts are runs of one mixture, whatever it is called. `num_parameters` and `num_tokens`
            (aligned with `amounts`, where these are items) are used where they are there.

    Raises:
        TransferError: amounts are unknown, or languages and amounts are not as many.
    """
    if cells["amounts"].null_count():
        raise TransferError("it is not known how much of each language the runs were trained on.")
    labels: dict[tuple[tuple[str, int], ...], str] = {}
    mixtures = []
    for row in cells.select("languages", "amounts").iter_rows(named=True):
        if len(row["languages"]) != len(row["amounts"]):
            raise TransferError("languages and amounts of a run are not as many.")
        key = tuple(sorted(zip(row["languages"], row["amounts"], strict=True)))
        mixtures.append(labels.setdefault(key, f"mixture {len(labels)}"))
    return Observations(
        values=cells["value"].to_numpy(),
        runs=cells["run"].to_numpy().astype(str),
        models=cells["model"].to_numpy().astype(str),
        languages=cells["language"].to_numpy().astype(str),
        mixtures=pl.Series(mixtures).to_numpy().astype(str),
        sizes=log_sizes(cells),
        fertility=_fertility(cells),
        amounts={label: {tag: float(amount) for tag, amount in key} for key, label in labels.items()},
    )


def log_sizes(cells: pl.DataFrame) -> dict[str, float]:
    """Model -> log10 of its parameters; empty where they are not known."""
    if "num_parameters" not in cells.columns:
        return {}
    known = cells.filter(pl.col("num_parameters") > 0).unique("model")
    return {row["model"]: math.log10(row["num_parameters"]) for row in known.iter_rows(named=True)}


def _fertility(cells: pl.DataFrame) -> dict[tuple[str, str], float]:
    """Tokens per item, over all runs of a model."""
    if "num_tokens" not in cells.columns:
        return {}
    runs = cells.unique("run").filter(pl.col("num_tokens").list.len() == pl.col("amounts").list.len())
    long = runs.select("model", "languages", "amounts", "num_tokens").explode("languages", "amounts", "num_tokens")
    sums = long.drop_nulls().group_by("model", "languages").agg(pl.col("amounts").sum(), pl.col("num_tokens").sum())
    return {
        (row["model"], row["languages"]): math.log(row["num_tokens"] / row["amounts"])
        for row in sums.filter(pl.col("amounts") > 0, pl.col("num_tokens") > 0).iter_rows(named=True)
    }
