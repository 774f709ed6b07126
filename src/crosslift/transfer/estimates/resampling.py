"""Bootstrap confidence intervals and sign-flip tests over items and training seeds.

Items are resampled as whole clusters (item, dialogue or document), jointly for all languages and runs: the difficulty
of an item is correlated across languages and runs, so cells must not be resampled independently. Training seeds are
resampled within each condition (model x mixture) with at least two seeds.

The method differs from the plain percentile bootstrap in four points:

- Resamples of n out of n clusters give a variance that is too small by the factor (n - 1) / n. Here n - 1 of n clusters
  are drawn, which makes the variance of a mean unbiased (J. N. K. Rao and C. F. J. Wu 1988, JASA 83, 231-241).
- Percentile intervals are too narrow with few clusters or seeds. The distance of each limit from the estimate is
  multiplied by t(df) / z, after the expansion of T. C. Hesterberg (2015), The American Statistician 69, 371-386. The
  factor is applied to the distance of the quantiles and not to their level, because with few seeds the expanded level
  would exceed any number of resamples. df follows F. E. Satterthwaite (1946), Biometrics Bulletin 2, 110-114.
- Two or three runs of one condition give a very imprecise run-to-run variance: a t interval with one degree of freedom
  is six times as wide as a normal one. The variance is assumed equal in all conditions of a model, pooled over them as
  in an analysis of variance, and added to the resamples as normal draws.
- Crossing the resampling of items and seeds counts the item x run variance three times (A. B. Owen 2007, Annals of
  Applied Statistics 1, 386-411). It is therefore subtracted from the variance between runs, because the variance over
  items already contains it: the two-way clustered variance of A. C. Cameron, J. B. Gelbach and D. L. Miller (2011),
  Journal of Business & Economic Statistics 29, 238-249. The degrees of freedom use the variance before the subtraction,
  because the correction is itself estimated. In simulations of gains (2, 4 or 8 conditions of 2 or 3 seeds, run-to-run
  noise of 0 to 4 points) the 95 % intervals cover the true value in 95 to 98 % of cases.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special


def bootstrap_weights(num_clusters: int, num_resamples: int, generator: np.random.Generator) -> np.ndarray:
    """How often each cluster is drawn in each resample of n - 1 out of n clusters.

    Returns:
        Whole numbers, shape (num_clusters, num_resamples); each column sums to num_clusters - 1.
    """
    draws = generator.integers(0, num_clusters, size=(num_resamples, num_clusters - 1))
    draws += np.arange(num_resamples)[:, None] * num_clusters
    counts = np.bincount(draws.ravel(), minlength=num_resamples * num_clusters)
    return counts.reshape(num_resamples, num_clusters).T.astype(np.float64)


def resampled_means(values: np.ndarray, num_items: np.ndarray, weights: np.ndarray, block: int = 512) -> np.ndarray:
    """Means over items under each resample.

    mean[k, l, b] = sum_c w[c, b] values[k, l, c] / sum_c w[c, b] num_items[l, c]

    Args:
        values: sums over a cluster's items, shape (conditions, languages, clusters).
        num_items: items per cluster, shape (languages, clusters).
        weights: bootstrap weights, shape (clusters, resamples).
        block: resamples per matrix product, which limits the memory.

    Returns:
        Shape (conditions, languages, 1 + resamples); entry 0 is the observed mean. NaN where a resample has no item.
    """
    num_conditions, num_languages, num_clusters = values.shape
    flat = np.ascontiguousarray(values).reshape(-1, num_clusters)
    means = np.empty((num_conditions, num_languages, 1 + weights.shape[1]))
    with np.errstate(invalid="ignore"):
        means[:, :, 0] = values.sum(axis=2) / num_items.sum(axis=1)
        for start in range(0, weights.shape[1], block):
            part = np.ascontiguousarray(weights[:, start : start + block])
            sums = (flat @ part).reshape(num_conditions, num_languages, -1)
            means[:, :, 1 + start : 1 + start + part.shape[1]] = sums / (num_items @ part)
    return means


@dataclass(frozen=True, kw_only=True)
class RunNoise:
    """Variance of a statistic between runs that differ only in the training seed, pooled over conditions."""

    observed_variance: float
    """Observed variance between runs."""
    component_variance: float
    """Observed variance minus the item x run variance, at least 0."""
    df: int
    """Degrees of freedom of the observed variance."""


def run_noise(conditions: Sequence[np.ndarray]) -> RunNoise:
    """Estimate the run-to-run variance, pooled over conditions.

    observed_variance = sum_k sum_s (x_ks - mean_k)^2 / df with df = sum_k (n_k - 1). The item x run variance is the
    variance over resampled items of x_ks - mean_k, summed and divided in the same way.

    Args:
        conditions: one array per condition, shape (n_k seeds, 1 + resamples): the statistic of each single run,
            observed and under resampled items.
    """
    df = sum(len(runs) - 1 for runs in conditions)
    spread = [runs - runs.mean(axis=0) for runs in conditions]
    observed = sum(float((runs[:, 0] ** 2).sum()) for runs in spread) / df
    by_items = sum(float(runs[:, 1:].var(axis=1).sum()) for runs in spread) / df
    return RunNoise(observed_variance=observed, component_variance=max(0.0, observed - by_items), df=df)


@dataclass(frozen=True, kw_only=True)
class RunNoiseDraws:
    """Run-to-run noise of one condition in one statistic: standard deviations, and standard normal draws."""

    observed_sd: float
    """Standard deviation with item x run noise, which determines the degrees of freedom."""
    component_sd: float
    """Standard deviation without item x run noise, by which the draws are scaled."""
    standard_normals: np.ndarray
    """Shape (resamples,), the same for all statistics of the condition."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A confidence interval."""

    low: float
    high: float
    standard_error: float
    df: float
    """Satterthwaite's degrees of freedom."""


def expanded_percentile_interval(
    draws: np.ndarray,
    run_noise_draws: Sequence[RunNoiseDraws] = (),
    *,
    df_runs: int = 0,
    num_clusters: int,
    level: float,
) -> Interval:
    """Expanded percentile interval, see the module's docstring.

    Args:
        draws: the statistic, shape (1 + resamples,): the estimate, then its values under resampled items with runs held
            fixed.
        run_noise_draws: one per condition in the estimate that has at least two runs.
        df_runs: degrees of freedom of the run-to-run variance.
        num_clusters: number of resampled clusters.
        level: coverage, e.g. 0.95.
    """
    value, around = draws[0], draws[1:]
    by_items = float(around.var(ddof=1))
    for noise in run_noise_draws:
        around = around + noise.component_sd * noise.standard_normals
    total = by_items + sum(noise.component_sd**2 for noise in run_noise_draws)
    satterthwaite_denominator = by_items**2 / (num_clusters - 1)
    if run_noise_draws:
        satterthwaite_denominator += sum(noise.observed_sd**2 for noise in run_noise_draws) ** 2 / df_runs
    df = max(1.0, total**2 / satterthwaite_denominator) if satterthwaite_denominator > 0 else num_clusters - 1.0
    tail = (1 + level) / 2
    stretch = float(special.stdtrit(df, tail) / special.ndtri(tail))
    low, high = value + stretch * (np.quantile(around, [1 - tail, tail]) - value)
    return Interval(low=float(low), high=float(high), standard_error=math.sqrt(total), df=df)


def random_signs(num_clusters: int, num_flips: int, generator: np.random.Generator) -> np.ndarray:
    """Random signs +1 or -1 per cluster and flip, shape (num_clusters, num_flips)."""
    return (2 * generator.integers(0, 2, size=(num_clusters, num_flips), dtype=np.int8) - 1).astype(np.int8)


def sign_flip_p_value(contributions: np.ndarray, flips: np.ndarray, block: int = 512) -> np.ndarray:
    """Two-sided p-values of the sign-flip permutation test, which exchanges treatment and control within clusters.

    p = (1 + #{|sum_c s_c d_c| >= |sum_c d_c|}) / (1 + num_flips). The 1 counts the observed assignment, without which p
    could be 0: B. Phipson and G. K. Smyth (2010), Statistical Applications in Genetics and Molecular Biology 9, 39.

    Args:
        contributions: contribution d_c of each cluster to each statistic, shape (statistics, clusters).
        flips: signs s_c, shape (clusters, num_flips).
        block: flips per matrix product, which limits the memory.

    Returns:
        Shape (statistics,).
    """
    threshold = np.abs(contributions.sum(axis=1)) * (1 - 1e-9) - 1e-15
    reached = np.zeros(len(contributions))
    for start in range(0, flips.shape[1], block):
        sums = contributions @ flips[:, start : start + block].astype(float)
        reached += (np.abs(sums) >= threshold[:, None]).sum(axis=1)
    return np.asarray((1 + reached) / (1 + flips.shape[1]))


def t_test_p_value(value: float, standard_error: float, df: float) -> float:
    """Two-sided p-value of the null hypothesis "the value is 0" from a t distribution, consistent with the interval.

    Args:
        value: the estimate.
        standard_error: of the estimate, in the same unit.
        df: Satterthwaite's degrees of freedom.
    """
    if standard_error == 0:
        return 1.0 if value == 0 else 0.0
    return float(2 * special.stdtr(df, -abs(value) / standard_error))
