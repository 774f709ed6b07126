"""Tables of results as what the transfer model is fitted to."""

from __future__ import annotations

import math

import polars as pl

from crosslift.errors import TransferError
from crosslift.transfer.predict import Observed


def observe(cells: pl.DataFrame) -> Observed:
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
    return Observed(
        values=cells["value"].to_numpy(),
        runs=cells["run"].to_numpy().astype(str),
        models=cells["model"].to_numpy().astype(str),
        languages=cells["language"].to_numpy().astype(str),
        mixtures=pl.Series(mixtures).to_numpy().astype(str),
        sizes=_sizes(cells),
        fertility=_fertility(cells),
        amounts={label: {tag: float(amount) for tag, amount in key} for key, label in labels.items()},
    )


def _sizes(cells: pl.DataFrame) -> dict[str, float]:
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
