"""Many tests, honest p-values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl


def holm(p: Sequence[float] | np.ndarray) -> np.ndarray:
    """Adjusted p-values that control the chance of even one false claim, under any dependence.

    Sorted p_(1) <= ... <= p_(m): adjusted p_(i) = max over j <= i of min(1, (m - j + 1) p_(j)).
    S. Holm (1979), Scandinavian Journal of Statistics 6, 65-70.
    """
    p = np.asarray(p, dtype=float)
    order = np.argsort(p, kind="stable")
    factors = len(p) - np.arange(len(p))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * factors))
    return adjusted


def benjamini_hochberg(p: Sequence[float] | np.ndarray) -> np.ndarray:
    """Adjusted p-values that control the expected share of false claims among the claims made.

    Sorted p_(1) <= ... <= p_(m): adjusted p_(i) = min over j >= i of min(1, m p_(j) / j). Holds for independent and
    positively dependent tests, which numbers on the same items are.
    Y. Benjamini and Y. Hochberg (1995), Journal of the Royal Statistical Society B 57, 289-300.
    """
    p = np.asarray(p, dtype=float)
    order = np.argsort(p, kind="stable")[::-1]
    ranks = np.arange(len(p), 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.minimum.accumulate(p[order] * len(p) / ranks))
    return adjusted


def adjust(estimates: pl.DataFrame) -> pl.DataFrame:
    """Fill `p_adjusted` from `p`, `primary`, `estimand` and `declared`.

    The primary numbers of all declared contrasts are one family, corrected by Holm. Everything else is exploratory:
    each estimand of each declared contrast is a question of its own, corrected by Benjamini-Hochberg within itself, so
    that asking a second question does not weaken the first. Rows without p stay null.
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
