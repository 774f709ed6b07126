"""The second study minus the first, paired item by item.

Runs of equal model, mixture and seed form a pair. Per model and mixture, the mean over the paired seeds of the second
study minus that of the first is a contrast as any other (`transfer.estimates`): items are resampled by cluster, jointly
for both studies; with several seeds the noise between runs is in the interval, pooled over both studies; with one seed
the note says that it is not. The summary of a model is the mean over its trained mixtures, and its value over all
languages in the primary metric is the primary statement (Holm); everything else is exploratory (Benjamini-Hochberg).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from crosslift.comparing.definition_differences import definition_differences
from crosslift.comparing.name_map import NameMap
from crosslift.comparing.paired.matching import Matched, MatchedEvaluation, match
from crosslift.comparing.paired.statements import difference_rows
from crosslift.comparing.result_set import ResultSet
from crosslift.errors import TransferError
from crosslift.scores import RUNS
from crosslift.transfer.answers import verdict
from crosslift.transfer.estimates.estimate import ESTIMATES
from crosslift.transfer.estimates.multiplicity import adjust
from crosslift.transfer.estimates.panel import panels

COMPARED = pl.Schema(
    {
        "part": pl.String,  # "summary" of a model, "mixture" (mean over paired seeds), or "seed" (one pair of runs)
        "model": pl.String,
        "mixture": pl.String,
        "seed": pl.Int64,  # null unless part is "seed"
        "evaluation": pl.String,
        "task": pl.String,
        "metric": pl.String,
        "is_primary_metric": pl.Boolean,
        "languages": pl.String,  # a tag, or a named group as in the estimates of a study
        "first": pl.Float64,  # score of the first study
        "second": pl.Float64,
        "value": pl.Float64,  # second minus first
        "low": pl.Float64,
        "high": pl.Float64,
        "level": pl.Float64,
        "num_items": pl.Int64,
        "num_clusters": pl.Int64,
        "num_seeds": pl.Int64,
        "p": pl.Float64,
        "p_adjusted": pl.Float64,
        "primary": pl.Boolean,
        "verdict": pl.String,  # on the claim that the second study scores higher
        "same_result": pl.Boolean,  # the same run of both definitions of one study
        "method": pl.String,
        "note": pl.String,
    }
)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two studies, or two definitions of one, compared. Differences are second minus first."""

    first: str
    second: str
    estimates: pl.DataFrame
    """Columns as in COMPARED; scores and differences are shares."""
    differences: pl.DataFrame
    """Columns as in `definition_differences.DIFFERENCES`."""
    left_out: pl.DataFrame
    """What is not compared, columns as in `left_out.LEFT_OUT`."""
    runs: pl.DataFrame
    """The compared runs of both studies: study, and the columns of `crosslift.scores.RUNS`."""
    num_cells: int
    """Compared cells: pairs of runs x evaluation x language."""
    num_same: int
    """Pairs of runs that are one run of both definitions of a study."""
    level: float
    """Coverage of the intervals."""


def compare(
    first: ResultSet,
    second: ResultSet,
    names: NameMap,
    *,
    level: float = 0.95,
    num_resamples: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Compare two studies on the cells and items that they have in common.

    Args:
        first: the study that is subtracted.
        second: the other study, or another definition of the first.
        names: names of the second study that mean names of the first.
        level: coverage of each single interval.
        num_resamples: bootstrap resamples.
        seed: of the resampling.

    Returns:
        The comparison.

    Raises:
        TransferError: the studies have no cell in common; the message says why.
    """
    matched = match(first, second, names)
    if not matched.evaluations:
        raise TransferError(_nothing_in_common(first, second, matched))
    same = _same_results(first, second)
    rows: list[dict[str, Any]] = []
    used: list[pl.DataFrame] = []
    for found in matched.evaluations:
        sides = {"first": first, "second": second}
        runs = pl.concat([_runs_of(sides[name], found.pairs[name]) for name in sides])
        used.append(runs)
        for panel in panels(found.scores, runs.select(RUNS.names()).with_columns(setting=pl.lit(found.task))):
            rows += difference_rows(
                found,
                panel,
                first=first,
                second=second,
                same=same,
                level=level,
                num_resamples=num_resamples,
                seed=seed,
            )
    table = adjust(pl.DataFrame(rows, schema=ESTIMATES | _EXTRA, infer_schema_length=None))
    verdicts = [verdict(*limits) for limits in table.select("low", "high").iter_rows()]
    return Comparison(
        first=first.label,
        second=second.label,
        estimates=table.with_columns(verdict=pl.Series(verdicts, dtype=pl.String)).select(COMPARED.names()),
        differences=definition_differences(first, second),
        left_out=matched.left_out,
        runs=pl.concat(used).unique(["study", "run"], keep="first", maintain_order=True),
        num_cells=matched.num_cells,
        num_same=len({pair for one in matched.evaluations for pair in _pairs(one) if pair in same}),
        level=level,
    )


_EXTRA = {name: kind for name, kind in COMPARED.items() if name not in ESTIMATES and name != "verdict"}


def _nothing_in_common(first: ResultSet, second: ResultSet, matched: Matched) -> str:
    reasons = "; ".join(
        f"{row['kind']} {row['name']} of {row['study']}: {row['reason']}"
        for row in matched.left_out.head(3).iter_rows(named=True)
    )
    return (
        f"{first.label} and {second.label} have no cell in common ({reasons}). If names differ, pair them: "
        "--map NAME=NAME"
    )


def _pairs(found: MatchedEvaluation) -> Iterator[tuple[str, str]]:
    yield from ((one, other) for one, other in found.pairs.select("first", "second").iter_rows())


def _same_results(first: ResultSet, second: ResultSet) -> set[tuple[str, str]]:
    """Return the pairs of runs that are one result on disk: equal fingerprints in two definitions of one study."""
    if first.store.folder.resolve() != second.store.folder.resolve():
        return set()
    by_fingerprint = {record["fingerprint"]: run for run, record in second.lock["runs"].items()}
    return {
        (run, by_fingerprint[record["fingerprint"]])
        for run, record in first.lock["runs"].items()
        if record["fingerprint"] in by_fingerprint
    }


def _runs_of(side: ResultSet, names: pl.Series) -> pl.DataFrame:
    """Return the runs of a side with names that say the side, after the column `study`."""
    runs = side.runs.filter(pl.col("run").is_in(names.implode()))
    return runs.with_columns(
        study=pl.lit(side.label),
        run=pl.format("{}: {}", pl.lit(side.label), "run"),
    ).select("study", *RUNS.names())
