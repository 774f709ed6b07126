"""The large published grid: 220 runs x 11 languages x 250 items."""

import time
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from crosslift.scores import RUNS, SCORES
from crosslift.transfer.estimates.estimate import estimate

LANGUAGES = ["bn", "de", "en", "es", "fr", "ja", "ru", "sw", "te", "th", "zh"]


@pytest.mark.slow
def test_two_hundred_and_twenty_runs_take_seconds():
    generator = np.random.default_rng(0)
    items = [f"i{index:03d}" for index in range(250)]
    runs, parts = [], []
    for model in range(5):
        for task in ("api", "math"):
            for mixture in range(22):
                run = f"m{model}.{task}-{mixture}.s0"
                runs.append((run, f"m{model}", f"{task}-{mixture}", "", task, 0, 1, LANGUAGES[: 1 + mixture % 10]))
                value = (generator.random((11, 250)) < 0.5).astype(float).ravel()
                columns = {"run": run, "evaluation": task, "task": task, "language": np.repeat(LANGUAGES, 250)}
                parts.append(pl.DataFrame(columns | {"item_id": items * 11, "metric": "accuracy", "value": value}))
    sample = pl.format("{}.{}", "item_id", "language")
    scores = pl.concat(parts).with_columns(sample_id=sample, cluster="item_id", status=pl.lit("scored"))
    table = pl.DataFrame([(*row, None, None, None) for row in runs], schema=RUNS, orient="row")
    contrasts = [
        SimpleNamespace(name=task, control=f"{task}-0", treatments=[f"{task}-{k}" for k in range(1, 22)], primary=True)
        for task in ("api", "math")
    ]
    start = time.perf_counter()
    estimates = estimate(scores.select(SCORES.names()), table, contrasts, num_resamples=1000)
    assert time.perf_counter() - start < 30
    assert estimates.filter("primary").height == 10
    assert estimates.filter(estimand="gain", languages="all").filter(pl.col("p_adjusted") < 0.05).height < 5
