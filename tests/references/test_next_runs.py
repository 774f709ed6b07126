"""On the runs of the first reference: chosen runs need at most half as many as random ones (the whole: benchmarks)."""

from __future__ import annotations

import sys

import numpy as np
import places
import polars as pl
import pytest

sys.path.append(str(places.REPOSITORY / "benchmarks"))  # after the standard library, which has a `statistics` too

import recommendation as benchmark
from crosslift.recommendation.objective import Objective
from crosslift.streams import stream

NUM_ORDERS = 4


@pytest.fixture(scope="module")
def runs_until_good() -> dict[str, list[int]]:
    """For every model and task: runs until the recommended mixture is within one standard error, and stays there."""
    found: dict[str, list[int]] = {"chosen": [], "random": []}
    for task in benchmark.METRICS:
        cells, scores = benchmark.cells_of(task)
        errors = benchmark.standard_errors(scores, task)
        means = cells.group_by("model", "mixture").agg(pl.col("value").mean())
        truth = {(model, mixture): value for model, mixture, value in means.iter_rows()}
        whole = benchmark.observed_of(cells)
        mixtures = sorted(set(whole.mixtures))
        amounts = [whole.amounts[name] for name in mixtures]
        objective = Objective(languages=tuple(sorted(set(whole.languages))))
        for model in sorted(set(whole.models)):
            here = whole.take(np.flatnonzero(whole.models == model))
            limit = errors[model, max(mixtures, key=lambda name: truth[model, name])]
            for number in range(NUM_ORDERS):
                order = [int(place) for place in stream(number, "test", task, model).permutation(len(mixtures))]
                for rule in found if number == 0 else ("random",):
                    regrets = benchmark.regrets_of(here, mixtures, amounts, truth, model, objective, order, rule)
                    above = np.flatnonzero(regrets > limit)
                    found[rule].append(2 + int(above[-1]) if len(above) else 1)
    return found


@pytest.mark.slow
def test_half_the_runs_are_enough(runs_until_good: dict[str, list[int]]):
    chosen, random = (np.mean(runs_until_good[rule]) for rule in ("chosen", "random"))
    assert chosen <= random / 2, runs_until_good
