"""Conditions (model x mixture) and their resampled means, the input of every estimate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from crosslift.streams import stream
from crosslift.transfer.estimates import resampling as resample
from crosslift.transfer.estimates.panel import Panel

NUM_INTERACTION_RESAMPLES = 64
"""Resamples used to estimate the item x run variance; a variance pooled over runs needs far fewer than a quantile."""


@dataclass(frozen=True, kw_only=True)
class Condition:
    """All training seeds of one model on one mixture."""

    model: str
    mixture: str
    setting: str
    """Tasks trained on, joined by "+"; empty for the base model."""
    trained: tuple[str, ...]
    """Tags of the training languages."""
    runs: tuple[str, ...]
    """Names of the runs, one per training seed."""

    @property
    def key(self) -> tuple[str, str]:
        """The pair (model, mixture)."""
        return self.model, self.mixture

    @property
    def is_base(self) -> bool:
        """Whether this is the base model without fine-tuning."""
        return self.mixture == "base"


def conditions(runs: pl.DataFrame) -> dict[tuple[str, str], Condition]:
    """Group a table of runs into conditions; the runs of a condition are its training seeds.

    Args:
        runs: columns as in `crosslift.scores.RUNS`.

    Returns:
        (model, mixture) -> condition, sorted by model and mixture.
    """
    grouped = runs.sort("model", "mixture", "seed", "run").group_by("model", "mixture", maintain_order=True)
    table = grouped.agg(pl.col("setting").first(), pl.col("languages").first(), pl.col("run"))
    return {
        (row["model"], row["mixture"]): Condition(
            model=row["model"],
            mixture=row["mixture"],
            setting=row["setting"] or "",
            trained=tuple(row["languages"] or ()),
            runs=tuple(row["run"]),
        )
        for row in table.iter_rows(named=True)
    }


@dataclass(frozen=True, kw_only=True)
class ResampledPanel:
    """A panel under one set of bootstrap weights, which all its conditions share."""

    panel: Panel
    conditions: tuple[Condition, ...]
    num_resamples: int
    seed: int
    """Seed of the resampling, not of training."""

    @cached_property
    def run_positions(self) -> dict[tuple[str, str], list[int]]:
        """Positions of each condition's runs in the panel, for conditions with all runs in the panel."""
        position = {run: index for index, run in enumerate(self.panel.runs)}
        return {
            condition.key: [position[run] for run in condition.runs]
            for condition in self.conditions
            if all(run in position for run in condition.runs)
        }

    @property
    def evaluated_conditions(self) -> tuple[Condition, ...]:
        """The conditions that the panel's evaluation covers."""
        return tuple(condition for condition in self.conditions if condition.key in self.run_positions)

    @cached_property
    def condition_index(self) -> dict[tuple[str, str], int]:
        """(model, mixture) -> position on the first axis of `sums` and `means`."""
        return {key: index for index, key in enumerate(self.run_positions)}

    @cached_property
    def sums(self) -> np.ndarray:
        """Sums of scores over a cluster's items and a condition's seeds, shape (conditions, languages, clusters)."""
        per_run = self.panel.values
        return np.stack([per_run[positions].sum(axis=0) for positions in self.run_positions.values()])

    @cached_property
    def num_seeds(self) -> np.ndarray:
        """Training seeds per condition, shape (conditions,)."""
        return np.array([len(positions) for positions in self.run_positions.values()])

    @cached_property
    def weights(self) -> np.ndarray:
        """Bootstrap weights, shape (clusters, resamples).

        The random stream is named after the evaluation alone, so that all metrics of an evaluation share their
        resamples.
        """
        generator = stream(self.seed, "transfer", "clusters", self.panel.evaluation)
        return resample.bootstrap_weights(self.panel.num_clusters, self.num_resamples, generator)

    @cached_property
    def means(self) -> np.ndarray:
        """Mean scores, shape (conditions, languages, 1 + resamples); entry 0 of the last axis is the observed mean."""
        means = resample.resampled_means(self.sums, self.panel.num_items, self.weights)
        means /= self.num_seeds[:, None, None]  # after the sums, which are exact
        return means

    def condition_means(self, key: tuple[str, str]) -> np.ndarray:
        """Mean scores of one condition, shape (languages, 1 + resamples); entry 0 is the observed mean."""
        means: np.ndarray = self.means[self.condition_index[key]]
        return means

    def contributions(self, key: tuple[str, str]) -> np.ndarray:
        """Contribution of each cluster to a condition's observed mean, shape (languages, clusters); they sum to the
        mean."""
        index = self.condition_index[key]
        total = self.panel.num_items.sum(axis=1, keepdims=True) * self.num_seeds[index]
        return np.asarray(self.sums[index] / total)

    @cached_property
    def run_means(self) -> dict[str, tuple[np.ndarray, list[int]]]:
        """Means of single runs, per model, of the conditions with at least two training seeds.

        Returns:
            model -> (means, numbers of seeds). The means have shape (languages, runs x (1 +
            NUM_INTERACTION_RESAMPLES)), with the columns of one run adjacent; the numbers of seeds are per condition.
        """
        weights = self.weights[:, :NUM_INTERACTION_RESAMPLES]
        found: dict[str, tuple[np.ndarray, list[int]]] = {}
        for model in {model for model, _ in self.run_positions}:
            seeds = [runs for (name, _), runs in self.run_positions.items() if name == model and len(runs) > 1]
            if seeds:
                values = self.panel.values[np.concatenate(seeds)]
                means = resample.resampled_means(values, self.panel.num_items, weights)
                found[model] = means.transpose(1, 0, 2).reshape(means.shape[1], -1), [len(runs) for runs in seeds]
        return found

    def run_noise(self, model: str, function: Callable[[np.ndarray], np.ndarray]) -> resample.RunNoise:
        """Run-to-run variance of a statistic, pooled over the model's conditions with at least two training seeds.

        Args:
            model: name of the model.
            function: the statistic, from means of shape (languages, columns) to shape (columns,).
        """
        means, num_seeds = self.run_means[model]
        runs = function(means).reshape(sum(num_seeds), -1)
        return resample.run_noise(np.split(runs, np.cumsum(num_seeds)[:-1]))

    @cached_property
    def standard_normals(self) -> dict[tuple[str, str], np.ndarray]:
        """Standard normal draws, shape (resamples,), per condition with at least two seeds; each condition has its own
        stream."""
        return {
            key: stream(self.seed, "transfer", "seeds", self.panel.evaluation, *key).standard_normal(self.num_resamples)
            for key, runs in self.run_positions.items()
            if len(runs) > 1
        }
