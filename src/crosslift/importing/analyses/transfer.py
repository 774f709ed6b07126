"""Predictive accuracy of the transfer model on left-out mixtures and left-out languages.

total       amount that is divided equally between each run's languages, if the source gives no amounts per language
tasks       default: all, each in turn
unit        factor for errors in the output
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from crosslift.errors import TransferError
from crosslift.importing.results import Results
from crosslift.transfer.answers import Analysis, Answer, verdict
from crosslift.transfer.model.cross_validation import cross_validate
from crosslift.transfer.model.gaussian_process import fit_transfer_model
from crosslift.transfer.model.observations import observations_of

OPTIONS: dict[str, type] = {"total": float, "tasks": list, "unit": float}


def analyse(results: Results, options: Mapping[str, Any]) -> Analysis:
    """Error reduction by the model and by similarity per task, and a table of standard deviations of its kernels.

    Args:
        results: with training languages and amounts.
        options: see the module's docstring.

    Raises:
        TransferError: a task has no cells or too few groups, or amounts are missing.
    """
    unit = float(options.get("unit", 1.0))
    table = results.table().filter(pl.col("value").is_not_null(), pl.col("languages").list.len() > 0)
    if "total" in options:
        total = round(float(options["total"]))
        table = table.with_columns(
            amounts=pl.Series(
                [[total // len(tags)] * len(tags) for tags in table["languages"].to_list()], dtype=pl.List(pl.Int64())
            )
        )
    answers, parts = [], []
    for task in options.get("tasks", table["task"].unique(maintain_order=True).to_list()):
        part = table.filter(task=task)
        if part.is_empty():
            raise TransferError(f"transfer: no cells of the task '{task}'.")
        observed = observations_of(part)
        runs = sorted(set(part["run"]))
        for left_out in ("mixture", "language"):
            found = cross_validate(observed, left_out=left_out)
            low, high = found.error_reduction[1], found.error_reduction[2]
            answers.append(
                Answer(
                    question=f"Can scores of a new {left_out} be predicted?",
                    about=str(task),
                    measure="squared error saved against the better baseline",
                    value=unit**2 * found.error_reduction[0], low=unit**2 * low, high=unit**2 * high,
                    verdict=verdict(low, high), runs=runs,
                    note=f"root mean squared error {unit * found.rmse_model:.2f}; mean of the others "
                    f"{unit * found.rmse_mean:.2f}, nearest {unit * found.rmse_nearest:.2f}; "
                    f"{found.num_groups} left out in turn",
                )
            )  # fmt: skip
            low, high = found.error_reduction_by_similarity[1], found.error_reduction_by_similarity[2]
            answers.append(
                Answer(
                    question=f"Does similarity of languages help to predict a new {left_out}?",
                    about=str(task),
                    measure="squared error saved by similarity",
                    value=unit**2 * found.error_reduction_by_similarity[0], low=unit**2 * low, high=unit**2 * high,
                    verdict=verdict(low, high), runs=runs,
                    note=f"root mean squared error without it {unit * found.rmse_without_similarity:.2f}",
                )
            )  # fmt: skip
        deviations = fit_transfer_model(observed).component_deviations()
        parts.append(
            pl.DataFrame([{"task": task, "part": name, "sd": unit * value} for name, value in deviations.items()])
        )
    return Analysis(kind="transfer", answers=answers, tables={"parts": pl.concat(parts)})
