"""Run-to-run noise of results that are published as means only, from replicates and dose-response curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import stats


def replicate_intervals(cells: pl.DataFrame, by: Sequence[str], *, level: float = 0.95) -> pl.DataFrame:
    """Mean over the runs of a condition with a t interval.

    mean -+ t(n - 1) sd / sqrt(n), where sd has n - 1 degrees of freedom. The interval is for the mean over further runs
    on the same items.

    Args:
        cells: columns `run`, `value` and `by`.
        by: columns that identify a condition.
        level: coverage, e.g. 0.95.

    Returns:
        by, mean, sd, num_runs, low, high, in the unit of `value`; sd and limits are null for a single run.
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
    """Variance of a statistic between runs of the same configuration."""

    variance: float
    """In the squared unit of the statistic."""
    df: float
    """Degrees of freedom."""
    source: str
    """What the variance was estimated from."""

    @property
    def standard_deviation(self) -> float:
        """Square root of the variance."""
        return float(np.sqrt(self.variance))

    def draws(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        """Draw run-to-run noise, including the uncertainty of its variance.

        Each row has one variance, drawn from s^2 df / chi^2(df), and normal draws with this variance.

        Args:
            shape: of the result; the first axis is the rows.
            generator: source of the random numbers.
        """
        scale = np.sqrt(self.variance * self.df / generator.chisquare(self.df, size=(shape[0], 1)))
        return np.asarray(scale * generator.standard_normal(shape))


def noise_from_replicates(groups: Sequence[np.ndarray]) -> NoiseVariance | None:
    """Pooled variance within groups of replicates; None if no group has two runs.

    Args:
        groups: values of the runs of one configuration each, shape (runs,).
    """
    many = [np.asarray(group, dtype=float) for group in groups if len(group) > 1]
    if not many:
        return None
    df = sum(len(group) - 1 for group in many)
    squares = sum(float(((group - group.mean()) ** 2).sum()) for group in many)
    return NoiseVariance(variance=squares / df, df=df, source=f"{sum(map(len, many))} replicates")


def noise_from_curves(curves: Sequence[np.ndarray]) -> NoiseVariance | None:
    """Estimate the noise variance from second differences of dose-response curves.

    sum (y[i-1] - 2 y[i] + y[i+1])^2 / (6 (n - 2)) over curves of n points, after J. von Neumann (1941), Annals of
    Mathematical Statistics 12, 367-395, with second differences, which a linear trend does not affect. Curvature biases
    the estimate upwards, so that intervals are conservative. Adjacent differences overlap; two thirds of their number
    count as degrees of freedom.

    Args:
        curves: scores in the order of the doses, shape (doses,) each.

    Returns:
        None if all curves have fewer than four points.
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
    """Pool estimates of the same variance, weighted by degrees of freedom; None if there is none."""
    known = [part for part in parts if part is not None]
    if not known:
        return None
    df = sum(part.df for part in known)
    variance = sum(part.variance * part.df for part in known) / df
    return NoiseVariance(variance=variance, df=df, source=" and ".join(part.source for part in known))
