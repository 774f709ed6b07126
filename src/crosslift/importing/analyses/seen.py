"""Effect of training on a language on the scores in that language.

    unit        factor for differences in the output
    where       columns and values that select the cells

Each language is compared with itself between runs that were trained on it and runs that were not, by a mixed model with
cell (model x task x language) and run as crossed random effects, which removes differences between languages and
between runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from scipy import stats

from crosslift.errors import TransferError
from crosslift.importing.results import Results
from crosslift.transfer.answers import Analysis, Answer, verdict
from crosslift.transfer.variance.mixed_model import fit_mixed_model, level_codes

OPTIONS: dict[str, type] = {"unit": float, "where": dict}


def analyse(results: Results, options: Mapping[str, Any]) -> Analysis:
    """The effect over all tasks and per task, and a table of variance shares.

    Args:
        results: with training languages.
        options: see the module's docstring.

    Raises:
        TransferError: no language is trained on in some runs and not in others.
    """
    unit = float(options.get("unit", 1.0))
    table = results.table().filter(pl.col("value").is_not_null())
    for column, value in dict(options.get("where", {})).items():
        table = table.filter(pl.col(column).is_in([value] if isinstance(value, (str, int)) else value))
    table = table.with_columns(seen=pl.col("language").is_in(pl.col("languages")))
    answers, shares = [], []
    for task in ["all tasks", *table["task"].unique(maintain_order=True)]:
        part = table if task == "all tasks" else table.filter(task=task)
        answer, share = _answer(part, str(task), unit)
        answers.append(answer)
        shares += [{"task": task, "part": name, "share": value} for name, value in share.items()]
    return Analysis(kind="seen", answers=answers, tables={"variance_shares": pl.DataFrame(shares)})


def _answer(part: pl.DataFrame, task: str, unit: float) -> tuple[Answer, dict[str, float]]:
    cell = part.select(pl.concat_str("model", "task", "language", separator=" ")).to_series()
    per_cell = part.with_columns(cell=cell).group_by("cell").agg(both=pl.col("seen").n_unique())
    num_both = per_cell.filter(pl.col("both") == 2).height
    if not num_both:
        raise TransferError(f"{task}: no language is a training language of some runs and not of others.")
    fit = fit_mixed_model(
        part["value"].to_numpy(),
        np.column_stack([np.ones(part.height), part["seen"].to_numpy().astype(float)]),
        {"cell": level_codes(cell.to_numpy()), "run": level_codes(part["run"].to_numpy())},
    )
    value, error = float(fit.coefficients[1]), float(fit.standard_errors[1])
    half = float(stats.t.ppf(0.975, max(num_both - 1, 1))) * error
    answer = Answer(
        question="Does a language gain from being trained on itself?",
        about=task,
        measure="seen minus unseen, same language and model",
        value=unit * value,
        low=unit * (value - half),
        high=unit * (value + half),
        verdict=verdict(value - half, value + half),
        runs=sorted(set(part["run"])),
        note=f"{num_both} cells were both; mixed model, residual sd {unit * fit.residual_sd:.2f}",
    )
    return answer, fit.variance_shares
