"""All contrasts of a full study with 10,000 bootstrap replicates, ours and straightforward ones on the same numbers.

    python benchmarks/statistics.py [CONTRASTS_FOR_THE_PEER]

220 runs x 11 languages x 250 items; 10,000 resamples of items, shared by all runs and languages. Every run is compared
with its model's English-only run: in each language, and in the means over all, high- and low-resource and non-English
languages. The peer does what a notebook does: pandas, one contrast at a time, items drawn anew in a loop, differences
averaged. It is measured on a few contrasts and fewer replicates and stated per contrast and replicate; on those, given
the same draws, both must give the same numbers.
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np
import polars as pl

from crosslift.streams import stream
from crosslift.transfer.estimates.contrast_bootstrap import bootstrap_contrasts

RUNS, LANGUAGES, ITEMS, RESAMPLES, MODELS = 220, 11, 250, 10_000, 10


def scores() -> np.ndarray:
    """Right and wrong, (runs, languages, items): items and runs differ in how hard and how good they are."""
    generator = stream(0, "benchmark", "statistics")
    hard = generator.normal(0, 1.2, (1, 1, ITEMS))
    good = generator.normal(0, 0.4, (RUNS, 1, 1)) + generator.normal(0, 0.4, (1, LANGUAGES, 1))
    return (generator.random((RUNS, LANGUAGES, ITEMS)) < 1 / (1 + np.exp(-(good + hard)))).astype(np.float64)


def main() -> None:
    num_peer = int(sys.argv[1]) if len(sys.argv) > 1 else 6
    right = scores()
    per_model = RUNS // MODELS
    treatments = np.array([run for run in range(RUNS) if run % per_model])
    controls = treatments - treatments % per_model
    groups = [np.array([place]) for place in range(LANGUAGES)]
    groups += [np.arange(LANGUAGES), np.arange(0, LANGUAGES, 2), np.arange(1, LANGUAGES, 2), np.arange(1, LANGUAGES)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    begun, cpu = time.perf_counter(), time.process_time()
    found = bootstrap_contrasts(right, treatments, controls, groups, num_resamples=RESAMPLES, seed=0)
    ours, ours_cpu = time.perf_counter() - begun, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    num_contrasts = found.value.size
    print(f"{num_contrasts:,} contrasts, {RESAMPLES:,} resamples: {ours:.2f} s wall, {ours_cpu:.2f} s of CPU, "
          f"{peak:.2f} GiB at most ({before:.2f} before)")  # fmt: skip

    num_resamples = 200
    table = pl.DataFrame(
        {
            "run": np.repeat(np.arange(RUNS), LANGUAGES * ITEMS),
            "language": np.tile(np.repeat(np.arange(LANGUAGES), ITEMS), RUNS),
            "item": np.tile(np.arange(ITEMS), RUNS * LANGUAGES),
            "value": right.ravel(),
        }
    ).to_pandas()
    draws = stream(0, "benchmark", "peer").integers(0, ITEMS, (num_resamples, ITEMS))
    begun = time.perf_counter()
    peer = [_plainly(table, treatments[place], controls[place], groups[11], draws) for place in range(num_peer)]
    seconds = time.perf_counter() - begun
    weights = np.stack([np.bincount(row, minlength=ITEMS) for row in draws], axis=1).astype(float)
    same = bootstrap_contrasts(right, treatments[:num_peer], controls[:num_peer], [groups[11]], weights=weights)
    for place, (value, low, high) in enumerate(peer):
        assert np.allclose(
            [value, low, high], [same.value[place, 0], same.low[place, 0], same.high[place, 0]], atol=1e-12
        )
    each = seconds / (num_peer * num_resamples)
    print(
        f"pandas: {num_peer} contrasts, {num_resamples} resamples: {seconds:.2f} s, the same numbers to twelve digits"
    )
    print(
        f"for all it would take {each * num_contrasts * RESAMPLES / 3600:.1f} h; "
        f"ratio {each * num_contrasts * RESAMPLES / ours:,.0f}"
    )
    vectorised = _vectorised(right, treatments, controls, groups[11])
    ratio = vectorised / ours * num_contrasts / len(treatments)
    print(
        f"numpy, a draw of items per contrast at once: {vectorised:.1f} s for one group of languages; ratio {ratio:.0f}"
    )


def _plainly(table, treatment: int, control: int, group: np.ndarray, draws: np.ndarray) -> tuple[float, float, float]:
    """One contrast as a notebook does it."""
    part = table[table["language"].isin(group)]
    wide = part[part["run"].isin([treatment, control])].pivot_table(index="item", columns="run", values="value")
    difference = wide[treatment] - wide[control]
    means = [difference.iloc[row].mean() for row in draws]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(difference.mean()), float(low), float(high)


def _vectorised(right: np.ndarray, treatments: np.ndarray, controls: np.ndarray, group: np.ndarray) -> float:
    """Seconds of a bootstrap per contrast with whole arrays, for one group."""
    begun = time.perf_counter()
    generator = stream(0, "benchmark", "vectorised")
    for treatment, control in zip(treatments, controls, strict=True):
        difference = (right[treatment] - right[control])[group].mean(axis=0)
        means = difference[generator.integers(0, ITEMS, (RESAMPLES, ITEMS))].mean(axis=1)
        np.quantile(means, [0.025, 0.975])
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
