"""Corrections for multiple testing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl


def holm(p: Sequence[float] | np.ndarray) -> np.ndarray:
    """Holm's adjusted p-values, which control the family-wise error rate under any dependence.

    With sorted p_(1) <= ... <= p_(m), the adjusted p_(i) is max over j <= i of min(1, (m - j + 1) p_(j)). S. Holm
    (1979), Scandinavian Journal of Statistics 6, 65-70.

    Args:
        p: p-values, shape (tests,).

    Returns:
        Adjusted p-values in the order of `p`, shape (tests,).
    """
    p = np.asarray(p, dtype=float)
    order = np.argsort(p, kind="stable")
    factors = len(p) - np.arange(len(p))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * factors))
    return adjusted


def benjamini_hochberg(p: Sequence[float] | np.ndarray) -> np.ndarray:
    """Benjamini-Hochberg adjusted p-values, which control the false discovery rate.

    With sorted p_(1) <= ... <= p_(m), the adjusted p_(i) is min over j >= i of min(1, m p_(j) / j). The guarantee holds
    for independent and for positively dependent tests; statistics of the same items are positively dependent. Y.
    Benjamini and Y. Hochberg (1995), Journal of the Royal Statistical Society B 57, 289-300.

    Args:
        p: p-values, shape (tests,).

    Returns:
        Adjusted p-values in the order of `p`, shape (tests,).
    """
    p = np.asarray(p, dtype=float)
    order = np.argsort(p, kind="stable")[::-1]
    ranks = np.arange(len(p), 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.minimum.accumulate(p[order] * len(p) / ranks))
    return adjusted


def adjust(estimates: pl.DataFrame) -> pl.DataFrame:
    """Add `p_adjusted` to a table of estimates.

    The primary estimates of all declared contrasts are one family, corrected by Holm. All other tests are exploratory:
    each estimand of each declared contrast is a family, corrected by Benjamini-Hochberg, so that a further estimand
    does not reduce the power of the others.

    Args:
        estimates: columns as in `estimate.ESTIMATES`; `p`, `primary`, `estimand` and `declared` are read.

    Returns:
        The table with `p_adjusted`, null where `p` is null.
    """
    p = estimates["p"].to_numpy()
    adjusted = np.full(len(p), np.nan)
    tested = ~np.isnan(p)
    primary = estimates["primary"].to_numpy() & tested
    adjusted[primary] = holm(p[primary])
    exploratory = estimates.with_row_index("row").filter(pl.Series(tested & ~primary))
    for rows in exploratory.group_by("estimand", "declared", maintain_order=True).agg("row")["row"]:
        index = rows.to_numpy()
        adjusted[index] = benjamini_hochberg(p[index])
    return estimates.with_columns(p_adjusted=pl.Series(adjusted).fill_nan(None))
