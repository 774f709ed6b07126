"""Run-to-run standard deviations from conditions with several training seeds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from crosslift.transfer.estimates.conditions import ResampledPanel, conditions
from crosslift.transfer.estimates.panel import panels, scores_of

NUM_RESAMPLES = 200


def between_seed_deviations(
    scores: pl.DataFrame, runs: pl.DataFrame, primary_metrics: Mapping[str, str]
) -> pl.DataFrame:
    """Standard deviation between runs that differ only in the training seed, pooled over the conditions of all models.

    Args:
        scores: columns as in `crosslift.scores.SCORES`.
        runs: columns as in `crosslift.scores.RUNS`.
        primary_metrics: evaluation -> primary metric.

    Returns:
        evaluation, language ("all": the mean over languages), raw (observed), net (without item x run noise), df (runs
        minus conditions), num_conditions; deviations in the unit of the scores. Empty if no condition has two seeds.
    """
    rows = []
    for panel in panels(scores_of(scores, primary_metrics), runs):
        resampled = ResampledPanel(
            panel=panel, conditions=tuple(conditions(runs).values()), num_resamples=NUM_RESAMPLES, seed=0
        )
        models = list(resampled.run_means)
        num_conditions = sum(len(resampled.run_means[model][1]) for model in models)
        if not models or panel.missing.any() or panel.num_errors.any():
            continue
        for place, label in enumerate(["all", *panel.languages]):
            picked = np.arange(len(panel.languages)) if label == "all" else np.array([place - 1])

            def mean(means: np.ndarray, picked: np.ndarray = picked) -> np.ndarray:
                return np.asarray(means[picked].mean(axis=0))

            found = [resampled.run_noise(model, mean) for model in models]
            df = sum(one.df for one in found)
            rows.append(
                {
                    "evaluation": panel.evaluation,
                    "language": label,
                    "raw": float(np.sqrt(sum(one.observed_variance * one.df for one in found) / df)),
                    "net": float(np.sqrt(sum(one.component_variance * one.df for one in found) / df)),
                    "df": df,
                    "num_conditions": num_conditions,
                }
            )
    return pl.DataFrame(rows)
