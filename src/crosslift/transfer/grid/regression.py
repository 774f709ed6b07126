"""The first paper's regression over its grid (arXiv 2604.13286, Table 3, P1), as published and with our intervals.

The published intervals resample rows, and the published R2 uses a random split of the rows. Our intervals resample
items jointly for all cells, and our R2 leaves out whole mixtures. Neither includes run-to-run noise, which a single
seed cannot estimate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from crosslift.scores import metric_range
from crosslift.streams import stream
from crosslift.transfer.grid.bilingual import NUM_PUBLISHED_RESAMPLES, coverage_grid
from crosslift.transfer.grid.cells import Cells

TEST_SHARE = 0.3
"""Share of the rows held out in P1's regression."""


def regression(cells: Cells) -> pl.DataFrame:
    """P1's Table 3: ordinary least squares regression of a cell's score.

    The regressors are model size, model family, task, base model, evaluation language in training, and sqrt(L / max L).
    As published: intervals from a bootstrap over rows, R2 on a random 30 % of the rows, although rows of one run are on
    both sides of the split. Ours: intervals from resampled items, R2 on mixtures that are left out in turn.

    Args:
        cells: all cells of the study.

    Returns:
        term, mean (the coefficient on all rows), printed_low, printed_high (rows resampled), low, high (ours), and the
        paper's own reading, fitted to the other 70 % of the rows: train_mean, train_low, train_high (rows resampled);
        then two rows with R2 as `mean`. Empty if model size or number of languages does not vary.
    """
    part = coverage_grid(cells, base=True).where(pl.col("num_parameters").is_not_null())
    if part.table.is_empty():
        return pl.DataFrame()
    low, width = _scale(part)
    draws = (part.draws - low) / width
    design, terms = _design(part.table)
    if not {"log10 size", "sqrt(L / max L)"} <= set(terms):
        return pl.DataFrame()
    solve = np.linalg.pinv(design)
    ours = solve @ draws  # (terms, 1 + resamples)
    generator = stream(0, "transfer", "printed", "regression")
    picks = generator.integers(0, len(design), size=(NUM_PUBLISHED_RESAMPLES, len(design)))
    printed = np.stack([np.linalg.pinv(design[pick]) @ draws[pick, 0] for pick in picks[:500]])
    tail = (1 - cells.level) / 2
    rows: list[dict[str, Any]] = []
    for place, term in enumerate(terms):
        low, high = np.quantile(printed[:, place], [tail, 1 - tail])
        rows.append(
            {"term": term, "printed_low": float(low), "printed_high": float(high)}
            | part.interval(ours[place]).as_columns()
        )
    test = generator.permutation(len(design)) < TEST_SHARE * len(design)
    on_training_rows = _on_training_rows(design[~test], draws[~test, 0], cells.level)
    rows = [row | columns for row, columns in zip(rows, on_training_rows, strict=True)]
    by_rows = _r2(design, draws[:, 0], [test])
    mixtures = part.table["mixture"].to_numpy()
    by_mixture = _r2(design, draws[:, 0], [mixtures == name for name in np.unique(mixtures)])
    rows.append({"term": "R2, random rows held out", "mean": by_rows})
    rows.append({"term": "R2, mixtures left out in turn", "mean": by_mixture})
    return pl.DataFrame(rows)


def _on_training_rows(design: np.ndarray, values: np.ndarray, level: float) -> list[dict[str, float]]:
    """Coefficients fitted to the training rows, with a bootstrap over these rows."""
    generator = stream(0, "transfer", "printed", "regression", "training rows")
    picks = generator.integers(0, len(design), size=(500, len(design)))
    fitted = np.linalg.pinv(design) @ values
    drawn = np.stack([np.linalg.pinv(design[pick]) @ values[pick] for pick in picks])
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return [
        {"train_mean": float(one), "train_low": float(start), "train_high": float(end)}
        for one, start, end in zip(fitted, low, high, strict=True)
    ]


def _scale(part: Cells) -> tuple[np.ndarray, np.ndarray]:
    """Lowest value and width of the metric of each row, shape (rows, 1): scores of several metrics enter as shares of
    their range."""
    ranges = np.array([metric_range(metric) for metric in part.table["metric"]])
    return ranges[:, :1], ranges[:, 1:] - ranges[:, :1]


def _design(table: pl.DataFrame) -> tuple[np.ndarray, list[str]]:
    """Design matrix of the regressors that vary, with an intercept in the first column, and their names."""
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
    """1 - SSE / SST over the rows of all folds, each predicted from the other rows; NaN if the values are constant."""
    errors, spread = 0.0, 0.0
    for fold in folds:
        fitted = np.linalg.pinv(design[~fold]) @ values[~fold]
        errors += float(((values[fold] - design[fold] @ fitted) ** 2).sum())
        spread += float(((values[fold] - values[~fold].mean()) ** 2).sum())
    return 1 - errors / spread if spread else float("nan")
