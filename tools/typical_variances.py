"""The prior of the transfer model (`transfer/model/gaussian_process.py`), estimated.

    python tools/typical_variances.py [DATA]

Fits the model, hardly bound by any expectation, to the single-task runs of `references/post-trainers-guide`, task by
task, and prints the log of the mean variances (`PRIOR_LOG_VARIANCES`), of all tasks and without each, so that
`benchmarks/calibration_of_predictions.py` predicts no task with a prior that knows it. With the folder of published
results it also prints the response to a unit of the language's own amount and to its presence, relative to the
deviation of latent values, for these tasks, the published designs and the imported grids (`PRIOR_COEFFICIENTS`). The
other reference, english-is-not-all-you-need, has no part in the prior, so that `benchmarks/recommendation.py` may try
the rule on it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from crosslift.transfer.model import gaussian_process
from crosslift.transfer.model.gaussian_process import PRIOR_COEFFICIENTS, PRIOR_LOG_VARIANCES, fit_transfer_model
from crosslift.transfer.model.kernels import NUM_OF_RUNS
from crosslift.transfer.model.measurement import effective_items
from crosslift.transfer.model.observations import AMOUNT_UNIT, Observations, observations_of

if TYPE_CHECKING:
    from predictions.data import DataSet

REFERENCE = Path(__file__).parents[1] / "references" / "post-trainers-guide"
METRICS = {"math": "accuracy", "summarization": "rouge_l", "instruction_following": "constraints"}
UNBOUND, FAINT = 0.01, -2.0
TERMS = ("own", "own presence")


def main() -> None:
    runs = pl.read_parquet(REFERENCE / "runs.parquet").rename({"num_items": "amounts"})
    runs = runs.drop("num_parameters", "num_tokens")
    scores = pl.read_parquet(REFERENCE / "scores.parquet")
    found: dict[str, np.ndarray] = {}
    # Without replicates the runs tell nothing of their own noise: it keeps the prior of `between_seed_deviations`.
    prior = np.concatenate([np.full(len(PRIOR_LOG_VARIANCES) - NUM_OF_RUNS, FAINT), PRIOR_LOG_VARIANCES[-NUM_OF_RUNS:]])
    precision = np.where(np.arange(len(prior)) < len(prior) - NUM_OF_RUNS, UNBOUND, 1.0)
    tail, gaussian_process.PRIOR_TAIL = gaussian_process.PRIOR_TAIL, np.inf
    for task, metric in METRICS.items():
        part = scores.filter(task=task, metric=metric).join(runs.filter(setting=task), on="run")
        cells = part.group_by("run", "language").agg(pl.col("value").mean())
        cells = cells.join(effective_items(part), on=["run", "language"])
        cells = cells.join(runs, on="run").sort("run", "language")
        fitted = fit_transfer_model(observations_of(cells), prior_log_variances=prior, prior_precision=precision)
        found[task] = fitted.log_variances
        _show(task, [fitted.log_variances])
    for task in found:
        _show(f"without {task}", [one for other, one in found.items() if other != task])
    _show("typical", list(found.values()))
    gaussian_process.PRIOR_TAIL = tail
    if len(sys.argv) > 1:
        own_responses(Path(sys.argv[1]))


def _show(name: str, log_variances: Sequence[np.ndarray]) -> None:
    """Print the logs of mean variances."""
    sys.stdout.write(f"{name} {np.round(np.log(np.mean(np.exp(log_variances), axis=0)), 1).tolist()}\n")


def own_responses(data: Path) -> None:
    """Print the posterior means of the responses to the own amount and its presence, with prior means of 0."""
    sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
    from explored.pools import published_pools
    from predictions.data import imported_sets, reference_sets

    sets = {
        "reference": [one.observed for one in reference_sets() if one.name.startswith("post-trainers-guide")],
        "published": [*(one.observed for one in published_pools(0, data)), *map(_third, imported_sets(data))],
    }
    PRIOR_COEFFICIENTS.clear()
    for name, several in sets.items():
        found = np.empty((len(several), len(TERMS)))
        for place, observed in enumerate(several):
            fitted = fit_transfer_model(observed, max_iterations=25)
            one, none = {"en": AMOUNT_UNIT * np.expm1(1.0)}, {}
            parts = fitted.difference_by_term(one, none, str(observed.models[0]), ["en"])
            slope = float(fitted.slopes(fitted.predict_latent([one, none], str(observed.models[0]), ["en"])).mean())
            found[place] = [float(parts[term][0]) / slope / fitted.scale for term in TERMS]
        for term, values in zip(TERMS, found.T, strict=True):
            told = f"{values.mean():.2f}, {values.min():.2f} to {values.max():.2f}"
            sys.stdout.write(f"{name}: {len(several)} tasks, {term} {told}\n")


def _third(data: DataSet) -> Observations:
    """Every third run of an imported grid."""
    return data.observed.take(np.isin(data.observed.runs, np.unique(data.observed.runs)[::3]))


if __name__ == "__main__":
    main()
