"""Linear mixed models with crossed random effects: y = X b + sum_k Z_k u_k + e, u_k ~ N(0, s_k^2), e ~ N(0, s^2).

Items, languages and runs are crossed, not nested: every run answers every item in every language. The restricted
likelihood is profiled over all parameters except the ratios s_k / s, and maximised over these by penalised least
squares (D. Bates, M. Maechler, B. Bolker and S. Walker 2015, Journal of Statistical Software 67(1), equations 34 to
42). Only cross products of the design matrices are needed, so the cost of an iteration does not depend on the number of
rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import linalg, optimize

from crosslift.errors import TransferError

MAX_EFFECTS_REFINED = 4
"""Largest number of random effects for which a simplex search refines the maximum to eight digits."""


@dataclass(frozen=True, kw_only=True)
class MixedModelFit:
    """A mixed model fitted by restricted maximum likelihood."""

    coefficients: np.ndarray
    """Fixed effects, shape (p,)."""
    coefficient_covariance: np.ndarray
    """Covariance of the fixed effects, shape (p, p)."""
    standard_deviations: dict[str, float]
    """Standard deviation of each random effect, in the unit of y."""
    residual_sd: float
    """Residual standard deviation, in the unit of y."""
    random_effects: dict[str, np.ndarray]
    """Best linear unbiased predictions (BLUPs) of the random effects, one per level."""
    log_likelihood: float
    """Restricted log-likelihood."""

    @property
    def standard_errors(self) -> np.ndarray:
        """Standard errors of the fixed effects, shape (p,)."""
        return np.sqrt(np.diag(self.coefficient_covariance))

    @property
    def variance_shares(self) -> dict[str, float]:
        """Share of each random effect and of the residual in the variance not explained by the fixed effects."""
        parts = {name: deviation**2 for name, deviation in self.standard_deviations.items()} | {
            "residual": self.residual_sd**2
        }
        total = sum(parts.values())
        return {name: part / total for name, part in parts.items()}


def fit_mixed_model(y: np.ndarray, design: np.ndarray, groups: Mapping[str, np.ndarray]) -> MixedModelFit:
    """Fit a mixed model by restricted maximum likelihood.

    Args:
        y: response, shape (n,).
        design: fixed-effects design matrix, shape (n, p); include a column of ones for an intercept.
        groups: random effect -> level of each row, integers from 0, shape (n,).

    Raises:
        TransferError: fewer rows than coefficients, linearly dependent columns, or a random effect with a single level
            or with one level per row.
    """
    y, design = np.asarray(y, dtype=float), np.asarray(design, dtype=float)
    num_rows, num_fixed = design.shape
    if num_rows <= num_fixed or np.linalg.matrix_rank(design) < num_fixed:
        raise TransferError(f"{num_fixed} fixed effects are not identifiable from {num_rows} rows. Remove some.")
    sizes = {name: int(codes.max()) + 1 for name, codes in groups.items()}
    for name, size in sizes.items():
        if size < 2 or size >= num_rows:
            raise TransferError(f"the random effect '{name}' has {size} levels in {num_rows} rows. Remove it.")
    cross = _cross_products(y, design, groups, sizes)
    levels = np.repeat(np.arange(len(sizes)), list(sizes.values()))
    ratios = _best_ratios(cross, levels, len(sizes), num_rows, num_fixed)
    return _solution(cross, sizes, ratios, num_rows)


@dataclass(frozen=True, kw_only=True)
class _CrossProducts:
    zz: np.ndarray
    zx: np.ndarray
    zy: np.ndarray
    xx: np.ndarray
    xy: np.ndarray
    yy: float
    factor: np.ndarray
    """Room for the Cholesky factor, of the shape and order of `zz`."""


def _cross_products(
    y: np.ndarray, design: np.ndarray, groups: Mapping[str, np.ndarray], sizes: Mapping[str, int]
) -> _CrossProducts:
    names = list(sizes)
    zx = [np.stack([np.bincount(groups[n], column, sizes[n]) for column in design.T], axis=1) for n in names]
    zy = [np.bincount(groups[n], y, sizes[n]) for n in names]
    blocks = [
        [
            np.bincount(groups[a] * sizes[b] + groups[b], minlength=sizes[a] * sizes[b]).reshape(sizes[a], sizes[b])
            for b in names
        ]
        for a in names
    ]
    zz = np.asfortranarray(np.block(blocks) if names else np.zeros((0, 0)), dtype=float)
    return _CrossProducts(
        zz=zz,
        factor=np.empty_like(zz),
        zx=np.concatenate(zx) if names else np.zeros((0, design.shape[1])),
        zy=np.concatenate(zy) if names else np.zeros(0),
        xx=design.T @ design,
        xy=design.T @ y,
        yy=float(y @ y),
    )


def _best_ratios(
    cross: _CrossProducts, levels: np.ndarray, num_effects: int, num_rows: int, num_fixed: int
) -> np.ndarray:
    def deviance(ratios: np.ndarray) -> float:
        return _deviance(cross, ratios[levels], num_rows, num_fixed)[0]

    if not num_effects:
        return np.zeros(0)
    bounds = [(0.0, None)] * num_effects
    best = None
    for start in (np.ones(num_effects), np.full(num_effects, 0.1)):
        options = {"ftol": 1e-13, "maxiter": 200}
        found = optimize.minimize(deviance, start, method="L-BFGS-B", bounds=bounds, options=options)
        if (
            num_effects <= MAX_EFFECTS_REFINED
        ):  # a simplex search is more precise than finite differences, but fails in many dimensions
            options = {"xatol": 1e-8, "fatol": 1e-10}
            found = optimize.minimize(deviance, found.x, method="Nelder-Mead", bounds=bounds, options=options)
        if best is None or found.fun < best.fun:
            best = found
        if num_effects > MAX_EFFECTS_REFINED:
            break
    assert best is not None
    return np.asarray(best.x)


def _deviance(
    cross: _CrossProducts, scale: np.ndarray, num_rows: int, num_fixed: int
) -> tuple[float, np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]:
    """Minus twice the profiled restricted log-likelihood, and the Cholesky factors that give the solution."""
    lower = _lower_factor(cross, scale)
    rzx = linalg.solve_triangular(lower, scale[:, None] * cross.zx, lower=True, check_finite=False)
    cu = linalg.solve_triangular(lower, scale * cross.zy, lower=True, check_finite=False)
    rx = linalg.cholesky(cross.xx - rzx.T @ rzx, lower=True)
    cb = linalg.solve_triangular(rx, cross.xy - rzx.T @ cu, lower=True)
    squares = max(cross.yy - float(cu @ cu) - float(cb @ cb), 1e-300)
    free = num_rows - num_fixed
    logs = 2 * float(np.log(np.diag(lower)).sum()) + 2 * float(np.log(np.diag(rx)).sum())
    return logs + free * (1 + np.log(2 * np.pi * squares / free)), lower, rzx, rx, cb, squares


def _lower_factor(cross: _CrossProducts, scale: np.ndarray) -> np.ndarray:
    """Cholesky factor of S Z'Z S + I in the lower triangle; the upper one is undefined. The next call overwrites it.

    This is nearly all of the time of a fit, so the matrix is made and factored in place, in LAPACK's order.
    """
    matrix = np.multiply(scale[:, None], cross.zz, out=cross.factor)
    matrix *= scale
    matrix.flat[:: len(scale) + 1] += 1.0
    lower, info = linalg.lapack.dpotrf(matrix, lower=1, clean=0, overwrite_a=1)
    if info:
        raise linalg.LinAlgError(f"the leading minor of order {info} is not positive definite")
    return np.asarray(lower)


def _solution(cross: _CrossProducts, sizes: Mapping[str, int], ratios: np.ndarray, num_rows: int) -> MixedModelFit:
    num_fixed = len(cross.xy)
    scale = np.repeat(ratios, list(sizes.values()))
    deviance, lower, _, rx, cb, squares = _deviance(cross, scale, num_rows, num_fixed)
    variance = squares / (num_rows - num_fixed)
    coefficients = linalg.solve_triangular(rx.T, cb)
    inverse = linalg.solve_triangular(rx, np.eye(num_fixed), lower=True)
    residual = scale * (cross.zy - cross.zx @ coefficients)
    spherical = linalg.cho_solve((lower, True), residual)
    effects = np.split(scale * spherical, np.cumsum(list(sizes.values()))[:-1]) if sizes else []
    return MixedModelFit(
        coefficients=coefficients,
        coefficient_covariance=variance * inverse.T @ inverse,
        standard_deviations={name: float(ratio * np.sqrt(variance)) for name, ratio in zip(sizes, ratios, strict=True)},
        residual_sd=float(np.sqrt(variance)),
        random_effects=dict(zip(sizes, effects, strict=True)),
        log_likelihood=-deviance / 2,
    )


def level_codes(values: object) -> np.ndarray:
    """Encode levels as integers from 0, in sorted order; shape (n,)."""
    return np.asarray(np.unique(np.asarray(values), return_inverse=True)[1])
