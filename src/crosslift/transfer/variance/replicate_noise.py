"""Results of which only means are known: what replicates say about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import stats


def replicate_intervals(cells: pl.DataFrame, by: Sequence[str], *, level: float = 0.95) -> pl.DataFrame:
    """Mean over runs of one condition with the t interval that most papers print.

    sd with n - 1; interval mean -+ t(n - 1) sd / sqrt(n). It holds for the mean over further runs on the same items.

    Args:
        cells: with `run`, `value` and the columns `by`.

    Returns:
        by, mean, sd, num_runs, low, high; sd and interval null for a single run.
    """
    table = cells.group_by(*by, maintain_order=True).agg(
        mean=pl.col("value").mean(), sd=pl.col("value").std(ddof=1), num_runs=pl.len()
    )
    factors = {
        n: float(stats.t.ppf((1 + level) / 2, n - 1)) / np.sqrt(n) if n > 1 else None
        for n in table["num_runs"].unique().to_list()
    }
    half = pl.col("sd") * pl.col("num_runs").replace_strict(factors, return_dtype=pl.Float64)
    return table.with_columns(low=pl.col("mean") - half, high=pl.col("mean") + half)


@dataclass(frozen=True, kw_only=True)
class NoiseVariance:
    """Variance of one number between runs that differ by nothing that was meant to differ."""

    variance: float
    df: float
    source: str
    """How it was found, in words."""

    @property
    def standard_deviation(self) -> float:
        return float(np.sqrt(self.variance))

    def draws(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        """Noise with the uncertainty of its own size: one variance per row, s^2 df / chi^2(df), and normal draws."""
        scale = np.sqrt(self.variance * self.df / generator.chisquare(self.df, size=(shape[0], 1)))
        return np.asarray(scale * generator.standard_normal(shape))


def noise_from_replicates(groups: Sequence[np.ndarray]) -> NoiseVariance | None:
    """Pooled over groups of runs of one configuration; None where no group has two."""
    many = [np.asarray(group, dtype=float) for group in groups if len(group) > 1]
    if not many:
        return None
    df = sum(len(group) - 1 for group in many)
    squares = sum(float(((group - group.mean()) ** 2).sum()) for group in many)
    return NoiseVariance(variance=squares / df, df=df, source=f"{sum(map(len, many))} replicates")


def noise_from_curves(curves: Sequence[np.ndarray]) -> NoiseVariance | None:
    """From the roughness of dose curves: a smooth curve has small second differences, noise has large ones.

    sum (y[i-1] - 2 y[i] + y[i+1])^2 / (6 (n - 2)) over curves of n points (after J. von Neumann 1941, Annals of
    Mathematical Statistics 12, 367-395, with second differences, which a straight line does not disturb). A curve that
    truly bends makes it too large, so intervals err on the long side. Neighbouring differences share points: two
    thirds of them count as degrees of freedom. None for curves of fewer than four points.
    """
    differences = [np.diff(np.asarray(curve, dtype=float), 2) for curve in curves if len(curve) >= 4]
    if not differences:
        return None
    number = sum(map(len, differences))
    squares = sum(float((one**2).sum()) for one in differences)
    return NoiseVariance(
        variance=squares / (6 * number), df=max(1.0, number * 2 / 3), source="roughness of dose curves"
    )


def pool_noise(*parts: NoiseVariance | None) -> NoiseVariance | None:
    """Estimates of the same variance together, weighted by their degrees of freedom."""
    known = [part for part in parts if part is not None]
    if not known:
        return None
    df = sum(part.df for part in known)
    variance = sum(part.variance * part.df for part in known) / df
    return NoiseVariance(variance=variance, df=df, source=" and ".join(part.source for part in known))
