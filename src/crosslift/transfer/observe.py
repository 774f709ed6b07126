"""Tables of results as what the transfer model is fitted to."""

from __future__ import annotations

import polars as pl

from crosslift.errors import TransferError
from crosslift.transfer.predict import Observed


def observe(cells: pl.DataFrame) -> Observed:
    """Cells of one task and metric.

    Args:
        cells: run, model, language, value, and of their runs `languages` and `amounts`, aligned with each other.
            Runs of equal amounts are runs of one mixture, whatever it is called.

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
        amounts={label: {tag: float(amount) for tag, amount in key} for key, label in labels.items()},
    )
