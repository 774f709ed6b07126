"""The first study's regression over its grid (arXiv 2604.13286, Table 3), as printed and with dependence kept.

The printed intervals resample rows and split rows at random; ours resample items over all cells at once and leave out
whole mixtures. Run-to-run noise is in neither, because one seed does not estimate it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from crosslift.streams import stream
from crosslift.transfer.grid.bilingual import NUM_PUBLISHED_RESAMPLES, coverage_grid
from crosslift.transfer.grid.cells import Cells

TEST_SHARE = 0.3
"""Of the rows, held out by P1's regression."""


def regression(cells: Cells) -> pl.DataFrame:
    """P1's Table 3: the score of a cell on size, family, task, base, evaluation language in training, sqrt(L / max L).

    Ordinary least squares. Printed: intervals from a bootstrap over rows, R2 on a random 30 % of the rows, although
    rows of one run fall on both sides. Ours: intervals from resampled items, R2 on mixtures that are left out in turn.

    Returns:
        term, mean (the coefficient), printed_low, printed_high, low, high (ours); then two rows with an R2 as `mean`.
        Empty where sizes or numbers of languages do not vary.
    """
    part = coverage_grid(cells, base=True).where(pl.col("num_parameters").is_not_null())
    if part.table.is_empty():
        return pl.DataFrame()
    design, terms = _design(part.table)
    if not {"log10 size", "sqrt(L / max L)"} <= set(terms):
        return pl.DataFrame()
    solve = np.linalg.pinv(design)
    ours = solve @ part.draws  # (terms, 1 + resamples)
    generator = stream(0, "transfer", "printed", "regression")
    picks = generator.integers(0, len(design), size=(NUM_PUBLISHED_RESAMPLES, len(design)))
    printed = np.stack([np.linalg.pinv(design[pick]) @ part.draws[pick, 0] for pick in picks[:500]])
    tail = (1 - cells.level) / 2
    rows: list[dict[str, Any]] = []
    for place, term in enumerate(terms):
        low, high = np.quantile(printed[:, place], [tail, 1 - tail])
        rows.append(
            {"term": term, "printed_low": float(low), "printed_high": float(high)}
            | part.interval(ours[place]).as_columns()
        )
    test = generator.permutation(len(design)) < TEST_SHARE * len(design)
    by_rows = _r2(design, part.draws[:, 0], [test])
    mixtures = part.table["mixture"].to_numpy()
    by_mixture = _r2(design, part.draws[:, 0], [mixtures == name for name in np.unique(mixtures)])
    rows.append({"term": "R2, random rows held out", "mean": by_rows})
    rows.append({"term": "R2, mixtures left out in turn", "mean": by_mixture})
    return pl.DataFrame(rows)


def _design(table: pl.DataFrame) -> tuple[np.ndarray, list[str]]:
    """Columns that vary, with an intercept first."""
    counts = table["languages"].list.len().cast(pl.Float64).to_numpy()
    columns = {
        "intercept": np.ones(table.height),
        "log10 size": np.log10(table["num_parameters"].cast(pl.Float64).to_numpy()),
    }
    families = table["model"].str.split("-").list.first()
    for name in families.unique().sort()[1:]:
        columns[f"family {name}"] = (families == name).cast(pl.Float64).to_numpy()
    for name in table["evaluation"].unique().sort()[1:]:
        columns[f"evaluation {name}"] = (table["evaluation"] == name).cast(pl.Float64).to_numpy()
    columns["base model"] = (table["mixture"] == "base").cast(pl.Float64).to_numpy()
    seen = [tag in trained for tag, trained in table.select("language", "languages").iter_rows()]
    columns["evaluation language in training"] = np.array(seen, dtype=float)
    columns["sqrt(L / max L)"] = np.sqrt(counts / max(counts.max(), 1))
    kept = {name: column for name, column in columns.items() if name == "intercept" or np.ptp(column) > 0}
    return np.stack(list(kept.values()), axis=1), list(kept)


def _r2(design: np.ndarray, values: np.ndarray, folds: Sequence[np.ndarray]) -> float:
    """1 - SSE / SST over the rows of all folds, each predicted by the rest; NaN where the values do not vary."""
    errors, spread = 0.0, 0.0
    for fold in folds:
        fitted = np.linalg.pinv(design[~fold]) @ values[~fold]
        errors += float(((values[fold] - design[fold] @ fitted) ** 2).sum())
        spread += float(((values[fold] - values[~fold].mean()) ** 2).sum())
    return 1 - errors / spread if spread else float("nan")
