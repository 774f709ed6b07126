"""Scores as a dense array of shape (runs, languages, clusters).

The items of a parallel test set are the same in every run and language. One matrix product with the resampling weights
therefore serves all cells, and because all cells share the resample, every difference is paired.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from crosslift.errors import TransferError
from crosslift.scores import SCORES

QUANTUM = 2.0**-30
"""Values are rounded to multiples of this number, so that sums with integer weights are exact in float64 and do not
depend on the order of addition, hence not on the number of threads. 0 and 1 are unchanged."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One metric of one evaluation."""

    evaluation: str
    task: str
    metric: str
    runs: tuple[str, ...]
    languages: tuple[str, ...]
    values: np.ndarray
    """Sums over a cluster's items, shape (runs, languages, clusters); 0 for errors and missing scores."""
    num_items: np.ndarray
    """Items per cluster, shape (languages, clusters)."""
    num_errors: np.ndarray
    """Samples with status "error", shape (runs, languages)."""
    missing: np.ndarray
    """Whether a run was not evaluated in a language, shape (runs, languages)."""
    unequal: np.ndarray
    """Whether a run was evaluated on fewer items than other runs, shape (runs, languages)."""

    @property
    def num_clusters(self) -> int:
        """Number of clusters of items."""
        return int(self.num_items.shape[1])

    def unavailable_reason(self, runs: list[int], languages: np.ndarray) -> str:
        """Why the mean over some cells has no value; empty if it has one. No score is dropped to obtain a value.

        Args:
            runs: positions of the runs.
            languages: positions of the languages, shape (n,).
        """
        cells = np.ix_(np.asarray(runs), languages)
        problems = []
        if errors := int(self.num_errors[cells].sum()):
            problems.append(f"{errors} error{'s' if errors > 1 else ''}: run again")
        for flags, words in ((self.missing, "not evaluated"), (self.unequal, "evaluated on other items than the rest")):
            if flags[cells].any():
                tags = [self.languages[position] for position in languages[flags[cells].any(axis=0)]]
                names = [self.runs[run] for run in np.asarray(runs)[flags[cells].any(axis=1)]]
                problems.append(f"{words}: {abbreviated_list(names)} in {abbreviated_list(tags)}")
        return "; ".join(problems)


def abbreviated_list(names: list[str], limit: int = 3) -> str:
    """Join names, with the number of those omitted: `a, b, c and 4 more`."""
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def validate_tables(scores: pl.DataFrame, runs: pl.DataFrame) -> None:
    """Check that scores and runs are complete and consistent.

    Raises:
        TransferError: columns are missing, a score's run is unknown, or a value is null without the status "error".
    """
    if lacking := [name for name in SCORES if name not in scores.columns]:
        raise TransferError(f"the table of scores lacks the columns {', '.join(lacking)}: see crosslift.scores.SCORES")
    if unknown := sorted(set(scores["run"].unique()) - set(runs["run"])):
        raise TransferError(
            f"scores of runs that the table of runs lacks: {abbreviated_list(unknown)}. Add them to the runs."
        )
    bad = scores.filter(pl.col("value").is_null() & (pl.col("status") != "error"))
    if bad.height:
        row = bad.row(0, named=True)
        raise TransferError(
            f"{bad.height} scores have no value and the status is not 'error', the first is {row['sample_id']} of "
            f"{row['run']} ({row['status']}): an answer that the model got wrong has the value 0."
        )


def scores_of(scores: pl.DataFrame, metrics: Mapping[str, str]) -> pl.DataFrame:
    """The scores of one metric per evaluation, in the order of the scores.

    Args:
        scores: columns as in `crosslift.scores.SCORES`.
        metrics: evaluation -> metric.
    """
    wanted = pl.DataFrame(
        {"evaluation": list(metrics), "metric": list(metrics.values())},
        schema={"evaluation": pl.String, "metric": pl.String},
    )
    return scores.join(wanted, on=["evaluation", "metric"], how="semi", maintain_order="left")


def panels(scores: pl.DataFrame, runs: pl.DataFrame) -> Iterator[Panel]:
    """Iterate over all metrics of all evaluations, sorted by name, independently of the row order of `scores`.

    A panel contains the runs with scores in the evaluation, and the runs that should have scores: base models, runs
    trained on the evaluation's task, and further seeds of conditions with scores.

    Args:
        scores: columns as in `crosslift.scores.SCORES`.
        runs: columns as in `crosslift.scores.RUNS`.

    Raises:
        TransferError: a sample is scored twice, an item is in two clusters, or an evaluation mixes tasks.
    """
    validate_tables(scores, runs)
    for (evaluation,), rows in sorted(scores.group_by("evaluation"), key=lambda pair: str(pair[0][0])):
        tasks = rows["task"].unique().to_list()
        if len(tasks) > 1:
            raise TransferError(
                f"evaluation {evaluation} mixes the tasks {', '.join(sorted(tasks))}; an evaluation has one task."
            )
        condition = pl.struct("model", "mixture")
        scored = runs.filter(pl.col("run").is_in(rows["run"].unique().implode()))
        expected = runs.filter(
            condition.is_in(scored.select(condition).to_series().implode())
            | (pl.col("mixture") == "base")
            | pl.col("setting").str.split("+").list.contains(tasks[0])
        )
        names = tuple(sorted(expected["run"].unique()))
        for (metric,), part in sorted(rows.group_by("metric"), key=lambda pair: str(pair[0][0])):
            yield _panel(str(evaluation), tasks[0], str(metric), names, part)


def _panel(evaluation: str, task: str, metric: str, runs: tuple[str, ...], rows: pl.DataFrame) -> Panel:
    languages = tuple(sorted(rows["language"].unique()))
    items = rows.select("item_id", "cluster").unique().sort("item_id", "cluster")
    if items["item_id"].n_unique() < items.height:
        twice = items.filter(items["item_id"].is_duplicated())["item_id"][0]
        raise TransferError(f"evaluation {evaluation}: item {twice} is in two clusters; an item belongs to one.")
    clusters = sorted(items["cluster"].unique())

    shape = (len(runs), len(languages), items.height)
    flat = np.ravel_multi_index(
        (_codes(rows["run"], runs), _codes(rows["language"], languages), _codes(rows["item_id"], items["item_id"])),
        shape,
    )
    size = int(np.prod(shape))
    present = np.bincount(flat, minlength=size).reshape(shape)
    if (present > 1).any():
        run, tag, item = (int(index) for index in np.argwhere(present > 1)[0])
        raise TransferError(
            f"evaluation {evaluation}: {metric} of item {items['item_id'][item]} in {languages[tag]} occurs twice "
            f"for run {runs[run]}. A sample is scored once per run."
        )
    errors = rows["status"].to_numpy() == "error"
    values = rows["value"].fill_null(0.0).to_numpy()
    values = np.round(values / QUANTUM) * QUANTUM
    by_item = np.bincount(flat, weights=values, minlength=size).reshape(shape)
    num_errors = np.bincount(flat, weights=errors, minlength=size).reshape(shape).sum(axis=2)

    there = present > 0
    asked = np.asarray(there.any(axis=0))
    evaluated = np.asarray(there.any(axis=2))
    cluster = _codes(items["cluster"], clusters)
    order = np.argsort(cluster, kind="stable")
    starts = np.searchsorted(cluster[order], np.arange(len(clusters)))
    return Panel(
        evaluation=evaluation,
        task=task,
        metric=metric,
        runs=runs,
        languages=languages,
        values=np.add.reduceat(by_item[:, :, order], starts, axis=2),
        num_items=np.add.reduceat(asked[:, order].astype(float), starts, axis=1),
        num_errors=num_errors.astype(int),
        missing=~evaluated,
        unequal=evaluated & (there != asked).any(axis=2),
    )


def _codes(column: pl.Series, known: tuple[str, ...] | list[str] | pl.Series) -> np.ndarray:
    """Position of each entry among the known names."""
    return column.cast(pl.Enum(list(known))).to_physical().to_numpy().astype(np.intp)
