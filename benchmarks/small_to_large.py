"""What a pilot on a small model tells about a larger one, on both reference grids.

    python benchmarks/small_to_large.py [RESAMPLES]

For each pair of a smaller and a larger model of one family, each task and each set of mixtures: the rank correlation
(Spearman) of the mixtures' mean scores over languages, and the regret of training the larger model on the mixture that
is best for the smaller one: what its best mixture scores more on the larger model. Intervals resample the test items
(all runs together) and the mixtures. "volume" are mixtures whose total grows with the number of languages, "total"
those of one total, where only the languages change. The regret of a random mixture is given for comparison.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from scipy import stats

from crosslift.streams import stream

ROOT = Path(__file__).parents[1] / "references"
PAIRS = {
    "english-is-not-all-you-need": [
        ("qwen3-s", "qwen3-m"), ("qwen3-m", "qwen3-l"), ("qwen3-s", "qwen3-l"), ("gemma3-s", "gemma3-m"),
    ],
    "post-trainers-guide": [("cohere-m", "cohere-l")],
}  # fmt: skip
METRICS = {
    "english-is-not-all-you-need": {"math": "accuracy", "api_calling": "exact"},
    "post-trainers-guide": {"math": "accuracy", "summarization": "rouge_l", "instruction_following": "constraints"},
}
LEAST_MIXTURES = 5


@dataclass(frozen=True, kw_only=True)
class Case:
    """Scores of two models on the same mixtures and items."""

    name: str
    kind: str
    small: np.ndarray
    """Mean over languages, shape (mixtures, items)."""
    large: np.ndarray


def cases() -> Iterator[Case]:
    for study, pairs in PAIRS.items():
        runs = pl.read_parquet(ROOT / study / "runs.parquet").filter(pl.col("mixture") != "base")
        runs = runs.filter(pl.col("seed") == pl.col("seed").min().over("model", "mixture"))
        runs = runs.with_columns(total=pl.col("num_items").list.sum())
        scores = pl.read_parquet(ROOT / study / "scores.parquet")
        for task, metric in METRICS[study].items():
            part = scores.filter(task=task, metric=metric).join(runs.filter(setting=task), on="run")
            means = part.group_by("model", "mixture", "family", "total", "cluster").agg(pl.col("value").mean())
            for family in sorted(means["family"].unique()):
                here = means.filter(family=family)
                kind = "total" if here["total"].n_unique() == 1 else "volume"
                for small, large in pairs:
                    tables = [_table(here.filter(model=model)) for model in (small, large)]
                    common = sorted(set(tables[0]) & set(tables[1]))
                    if len(common) >= LEAST_MIXTURES:
                        yield Case(
                            name=f"{task}, {family}, {small} to {large}", kind=kind,
                            small=np.stack([tables[0][name] for name in common]),
                            large=np.stack([tables[1][name] for name in common]),
                        )  # fmt: skip


def _table(means: pl.DataFrame) -> dict[str, np.ndarray]:
    return {str(mixture): part.sort("cluster")["value"].to_numpy() for (mixture,), part in means.group_by("mixture")}


def statistics(small: np.ndarray, large: np.ndarray) -> tuple[float, float, float]:
    """Rank correlation, regret of the best mixture of the smaller model, regret of a random mixture; in points."""
    one, other = small.mean(axis=1), large.mean(axis=1)
    constant = np.ptp(one) == 0 or np.ptp(other) == 0
    rank = 0.0 if constant else float(stats.spearmanr(one, other).statistic)
    best = np.flatnonzero(one == one.max())
    return rank, 100 * float(other.max() - other[best].mean()), 100 * float(other.max() - other.mean())


def resampled(case: Case, generator: np.random.Generator) -> tuple[float, float, float]:
    items = generator.integers(0, case.small.shape[1], case.small.shape[1])
    chosen = np.unique(generator.integers(0, len(case.small), len(case.small)))
    if len(chosen) < 3:
        chosen = np.arange(len(case.small))
    return statistics(case.small[np.ix_(chosen, items)], case.large[np.ix_(chosen, items)])


def main() -> None:
    num_resamples = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    groups: dict[str, list[np.ndarray]] = {}
    points: dict[str, list[tuple[float, float, float]]] = {}
    for case in cases():
        generator = stream(0, "benchmark", "small to large", case.name)
        draws = np.array([resampled(case, generator) for _ in range(num_resamples)])
        found = statistics(case.small, case.large)
        low, high = np.percentile(draws, [2.5, 97.5], axis=0)
        print(f"{case.kind:6s} {case.name:60s} {len(case.small):2d} mixtures: rank correlation {found[0]:.2f} "
              f"[{low[0]:.2f}, {high[0]:.2f}], regret {found[1]:.1f} [{low[1]:.1f}, {high[1]:.1f}], of a random "
              f"mixture {found[2]:.1f}")  # fmt: skip
        groups.setdefault(case.kind, []).append(draws)
        points.setdefault(case.kind, []).append(found)
    for kind, parts in groups.items():
        means, draws = np.mean(points[kind], axis=0), np.mean(parts, axis=0)
        low, high = np.percentile(draws, [2.5, 97.5], axis=0)
        medians = np.median(points[kind], axis=0)
        print(f"{kind}: {len(parts)} cases, mean rank correlation {means[0]:.2f} [{low[0]:.2f}, {high[0]:.2f}] (median "
              f"{medians[0]:.2f}), mean regret {means[1]:.1f} [{low[1]:.1f}, {high[1]:.1f}] points (median "
              f"{medians[1]:.1f}), of a random mixture {means[2]:.1f}")  # fmt: skip


if __name__ == "__main__":
    main()
