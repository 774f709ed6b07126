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
        )


def observations_of(cells: pl.DataFrame) -> Observations:
    """Build observations from cells of one task and metric.

    Args:
        cells: columns run, model, language, value, `languages` and `amounts` (of the run, aligned with each other),
            optionally `num_parameters` and `num_tokens` (aligned with `amounts`, which are then items). Runs with equal
            amounts have the same mixture, whatever its name.

    Raises:
        TransferError: amounts are missing, or a run has unequal numbers of languages and amounts.
    """
    if cells["amounts"].null_count():
        raise TransferError("the amounts of the training languages are unknown for some runs.")
    labels: dict[tuple[tuple[str, int], ...], str] = {}
    mixtures = []
    for row in cells.select("languages", "amounts").iter_rows(named=True):
        if len(row["languages"]) != len(row["amounts"]):
            raise TransferError("a run has unequal numbers of languages and amounts.")
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
