"""Prior variances of the transfer model (`PRIOR_LOG_VARIANCES` in `transfer/model/gaussian_process.py`), estimated.

    python tools/typical_variances.py

Fits the model, hardly bound by any expectation, to the single-task runs of `references/post-trainers-guide`, task by
task, and prints the mean of the log variances. The other reference, english-is-not-all-you-need, has no part in it, so
that `benchmarks/recommendation.py` may try the rule on it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl

from crosslift.transfer.model.gaussian_process import PRIOR_LOG_VARIANCES, fit_transfer_model
from crosslift.transfer.model.kernels import NUM_OF_RUNS
from crosslift.transfer.model.measurement import effective_items
from crosslift.transfer.model.observations import observations_of

REFERENCE = Path(__file__).parents[1] / "references" / "post-trainers-guide"
METRICS = {"math": "accuracy", "summarization": "rouge_l", "instruction_following": "constraints"}
UNBOUND, FAINT = 0.01, -2.0
LEAST = -7.0
"""Log variances below it differ by nothing that matters."""


def main() -> None:
    runs = pl.read_parquet(REFERENCE / "runs.parquet").rename({"num_items": "amounts"})
    runs = runs.drop("num_parameters", "num_tokens")
    scores = pl.read_parquet(REFERENCE / "scores.parquet")
    found = []
    # Without replicates the runs tell nothing of their own noise: it keeps the prior of `between_seed_deviations`.
    prior = np.concatenate([np.full(len(PRIOR_LOG_VARIANCES) - NUM_OF_RUNS, FAINT), PRIOR_LOG_VARIANCES[-NUM_OF_RUNS:]])
    precision = np.where(np.arange(len(prior)) < len(prior) - NUM_OF_RUNS, UNBOUND, 1.0)
    for task, metric in METRICS.items():
        part = scores.filter(task=task, metric=metric).join(runs.filter(setting=task), on="run")
        cells = part.group_by("run", "language").agg(pl.col("value").mean())
        cells = cells.join(effective_items(part), on=["run", "language"])
        cells = cells.join(runs, on="run").sort("run", "language")
        fitted = fit_transfer_model(observations_of(cells), prior_log_variances=prior, prior_precision=precision)
        found.append(fitted.log_variances)
        sys.stdout.write(f"{task} {np.round(fitted.log_variances, 1).tolist()}\n")
    sys.stdout.write(f"typical {np.round(np.clip(found, LEAST, None).mean(axis=0), 1).tolist()}\n")


if __name__ == "__main__":
    main()
