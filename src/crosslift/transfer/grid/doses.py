"""Dose series of the second paper and their statistics (arXiv 2504.16677, Table 2, P2), as published and resampled.

Intervals do not include run-to-run noise, except those of plateaus, which estimate it from the roughness of the curves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl
from scipy import stats

from crosslift.transfer.estimates.language_groups import ENGLISH
from crosslift.transfer.grid import as_published
from crosslift.transfer.grid.cells import Cells
from crosslift.transfer.grid.plateau import plateau
from crosslift.transfer.variance.replicate_noise import noise_from_curves

PLATEAU_MARGIN = 0.02
"""A curve counts as flat within two hundredths of the metric's range of its maximum: two points of a share."""


def dose_series(cells: Cells) -> Iterator[tuple[dict[str, str], Cells, tuple[str, ...], tuple[str, ...]]]:
    """Iterate over the dose series of a study.

    Yields:
        evaluation, model and family of the series; its cells; its seen languages and its unseen languages (as of the
        largest dose, without English).
    """
    series = cells.where(pl.col("dose").is_not_null())
    for evaluation, model, family in (
        series.table.select("evaluation", "model", "family").unique(maintain_order=True).iter_rows()
    ):
        part = series.where(evaluation=evaluation, model=model, family=family)
        largest = part.table.sort("dose")["languages"][-1].to_list()
        tags = [tag for tag in part.table["language"].unique(maintain_order=True) if tag != ENGLISH]
        seen = tuple(tag for tag in tags if tag in largest)
        yield (
            {"evaluation": evaluation, "model": model, "family": family},
            part,
            seen,
            tuple(tag for tag in tags if tag not in seen),
        )


def mean_by_dose(part: Cells, tags: Sequence[str]) -> tuple[list[int], np.ndarray]:
    """Mean over languages at each dose.

    Args:
        part: the cells of one series.
        tags: the languages to average over.

    Returns:
        The doses in ascending order, and the means, shape (doses, 1 + resamples).
    """
    found = sorted(part.table["dose"].unique())
    return found, np.stack([part.where(pl.col("language").is_in(tags), dose=dose).mean() for dose in found])


def dose_statistics(cells: Cells) -> pl.DataFrame:
    """P2's Table 2 and its gains, one row per dose series.

    Returns:
        evaluation, model, family, spearman (seen and unseen over doses, as published) with its interval, gain (largest
        relative performance minus that at dose 0, as published), mean, low, high (ours: non-English at the largest dose
        minus dose 0), gap_mean with its interval (seen minus unseen, largest dose minus dose 0), plateau with its
        interval (smallest dose within PLATEAU_MARGIN of the maximum, mean over non-English languages), plateau_told
        (false if the interval contains all doses; null if there are too few doses to estimate the noise).
    """
    rows: list[dict[str, Any]] = []
    series = []
    for about, part, seen, unseen in dose_series(cells):
        found, others = mean_by_dose(part, [*seen, *unseen])
        if len(found) >= 3 and 0 in found and seen and unseen:
            series.append((about, part, seen, unseen, found, others))
    for about, part, seen, unseen, found, others in series:
        _, of_seen = mean_by_dose(part, seen)
        _, of_unseen = mean_by_dose(part, unseen)
        row = about | {
            "spearman": as_published.seen_unseen_correlation(of_seen[:, 0].tolist(), of_unseen[:, 0].tolist())
        }
        ranks = [stats.rankdata(side, axis=0) for side in (of_seen, of_unseen)]
        correlation = part.interval(_correlation(*ranks))
        row |= {"spearman_low": max(-1.0, correlation.low), "spearman_high": min(1.0, correlation.high)}
        if ENGLISH in set(part.table["language"]):
            _, english = mean_by_dose(part, [ENGLISH])
            with np.errstate(divide="ignore", invalid="ignore"):
                row["gain"] = as_published.largest_dose_gain((others / english)[:, 0].tolist(), found)
        start, end = found.index(0), len(found) - 1
        row |= part.interval(others[end] - others[start]).as_columns()
        gap = of_seen - of_unseen
        row |= part.interval(gap[end] - gap[start]).as_columns("gap_")
        alike = [one for other, *_, one in series if _of(other) == _of(about)]
        margin = PLATEAU_MARGIN * cells.width(about["evaluation"])
        rows.append(row | _plateau(found, others[:, 0], [one[1:, 0] for one in alike], margin))
    kinds = dict.fromkeys(("plateau", "plateau_low", "plateau_high"), pl.Float64) | {"plateau_told": pl.Boolean}
    return pl.DataFrame(rows, schema_overrides=kinds)


def _of(about: dict[str, str]) -> tuple[str, str]:
    return about["evaluation"], about["model"]


def _plateau(found: list[int], curve: np.ndarray, alike: Sequence[np.ndarray], margin: float) -> dict[str, Any]:
    """Plateau of a curve; the noise variance is pooled over all curves of its model and evaluation."""
    noise = noise_from_curves(alike)
    if noise is None:
        return {"plateau": None, "plateau_low": None, "plateau_high": None, "plateau_told": None}
    flat = plateau(curve, found, noise, margin=margin)
    return {"plateau": flat.dose, "plateau_low": flat.low, "plateau_high": flat.high, "plateau_told": flat.identified}


def _correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pearson correlation per column; 0 where a column is constant."""
    one, two = first - first.mean(axis=0), second - second.mean(axis=0)
    scale = np.sqrt((one**2).sum(axis=0) * (two**2).sum(axis=0))
    return np.asarray(np.divide((one * two).sum(axis=0), scale, out=np.zeros_like(scale), where=scale > 0))
