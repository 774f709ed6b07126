"""Conditions (model x mixture) with their resampled means: what every estimate is made from."""

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
"""Resamples that measure item x run noise: a variance pooled over runs needs far fewer than a quantile."""


@dataclass(frozen=True, kw_only=True)
class Condition:
    """All training seeds of one model on one mixture."""

    model: str
    mixture: str
    setting: str
    trained: tuple[str, ...]
    """Languages trained on."""
    runs: tuple[str, ...]

    @property
    def key(self) -> tuple[str, str]:
        return self.model, self.mixture

    @property
    def is_base(self) -> bool:
        return self.mixture == "base"


def conditions(runs: pl.DataFrame) -> dict[tuple[str, str], Condition]:
    """Conditions of a table of runs by (model, mixture), sorted; seeds of one condition are its runs."""
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
    """One panel under one set of resampling weights, jointly for all its conditions."""

    panel: Panel
    conditions: tuple[Condition, ...]
    num_resamples: int
    seed: int

    @cached_property
    def run_positions(self) -> dict[tuple[str, str], list[int]]:
        """Positions in the panel of each condition's runs; conditions without a run in the panel are left out."""
        position = {run: index for index, run in enumerate(self.panel.runs)}
        return {
            condition.key: [position[run] for run in condition.runs]
            for condition in self.conditions
            if all(run in position for run in condition.runs)
        }

    @property
    def evaluated_conditions(self) -> tuple[Condition, ...]:
        """The conditions that the panel's evaluation was meant for."""
        return tuple(condition for condition in self.conditions if condition.key in self.run_positions)

    @cached_property
    def condition_index(self) -> dict[tuple[str, str], int]:
        return {key: index for index, key in enumerate(self.run_positions)}

    @cached_property
    def sums(self) -> np.ndarray:
        """(conditions, languages, clusters): sums over a cluster's items and the condition's seeds."""
        per_run = self.panel.values
        return np.stack([per_run[positions].sum(axis=0) for positions in self.run_positions.values()])

    @cached_property
    def num_seeds(self) -> np.ndarray:
        """(conditions,)."""
        return np.array([len(positions) for positions in self.run_positions.values()])

    @cached_property
    def weights(self) -> np.ndarray:
        """(clusters, resamples). The stream names the evaluation alone: all metrics share their resamples."""
        generator = stream(self.seed, "transfer", "clusters", self.panel.evaluation)
        return resample.bootstrap_weights(self.panel.num_clusters, self.num_resamples, generator)

    @cached_property
    def means(self) -> np.ndarray:
        """(conditions, languages, 1 + resamples); entry 0 is observed."""
        means = resample.resampled_means(self.sums, self.panel.num_items, self.weights)
        means /= self.num_seeds[:, None, None]  # after the sums, which are exact
        return means

    def condition_means(self, key: tuple[str, str]) -> np.ndarray:
        """(languages, 1 + resamples)."""
        means: np.ndarray = self.means[self.condition_index[key]]
        return means

    def contributions(self, key: tuple[str, str]) -> np.ndarray:
        """(languages, clusters): each cluster's part of the observed mean; sums over clusters to it."""
        index = self.condition_index[key]
        total = self.panel.num_items.sum(axis=1, keepdims=True) * self.num_seeds[index]
        return np.asarray(self.sums[index] / total)

    @cached_property
    def run_means(self) -> dict[str, tuple[np.ndarray, list[int]]]:
        """Per model, its conditions with two seeds or more: means, shape (languages, runs x (1 + NUM_INTERACTION_RESAMPLES)),
        one run after the other, and the number of seeds per condition."""
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
        """Of the number that `function` makes of means, pooled over the model's conditions with two seeds or more."""
        means, num_seeds = self.run_means[model]
        runs = function(means).reshape(sum(num_seeds), -1)
        return resample.run_noise(np.split(runs, np.cumsum(num_seeds)[:-1]))

    @cached_property
    def standard_normals(self) -> dict[tuple[str, str], np.ndarray]:
        """(resamples,) standard normal draws of the conditions with two seeds or more; a stream per condition."""
        return {
            key: stream(self.seed, "transfer", "seeds", self.panel.evaluation, *key).standard_normal(self.num_resamples)
            for key, runs in self.run_positions.items()
            if len(runs) > 1
        }
