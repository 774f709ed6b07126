"""The cells and test items that two studies have in common, and those that cannot be compared, with the reason.

A cell is model x mixture x training seed x evaluation x language. Two items are the same if their id, prompt and gold
answer are equal in that language; ids alone prove nothing, since corpora often number their items from 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from crosslift.comparing.left_out import LEFT_OUT, leave_out
from crosslift.comparing.name_map import NameMap
from crosslift.comparing.result_set import ResultSet
from crosslift.transfer.estimates.panel import abbreviated_list

FACTORS = ["model", "mixture", "seed", "evaluation", "language"]


@dataclass(frozen=True, kw_only=True)
class MatchedEvaluation:
    """What two studies have in common in one evaluation, under the names of the first."""

    name: str
    task: str
    metrics: tuple[str, ...]
    """Metrics of both studies; the primary one is the first."""
    pairs: pl.DataFrame
    """Completely evaluated pairs of runs: model, mixture, seed, first, second (names of the runs)."""
    scores: pl.DataFrame
    """Scores of the common items, columns as in `crosslift.scores.SCORES`; runs as `first` and `second` with the side:
    see `side_of`."""


@dataclass(frozen=True, kw_only=True)
class Matched:
    """What two studies have in common."""

    evaluations: tuple[MatchedEvaluation, ...]
    left_out: pl.DataFrame
    """Columns as in LEFT_OUT."""
    num_cells: int
    """Cells that are compared."""


def side_of(one: ResultSet, run: str) -> str:
    """Name a run of a study where runs of both occur: `study@2: tiny.en.s0`."""
    return f"{one.label}: {run}"


def match(first: ResultSet, second: ResultSet, names: NameMap) -> Matched:
    """Find the common cells and items of two studies.

    Args:
        first: a study.
        second: the other study.
        names: names of the second study that mean names of the first.

    Returns:
        The common cells, and what is left out.
    """
    here, there = first.cells, names.apply(second.cells)
    left_out = [*_without_partner(here, there, first, second), *_without_partner(there, here, second, first)]
    both = here.join(there, on=FACTORS, how="inner", suffix="_second", maintain_order="left")
    original = {new: old for old, new in names.names.get("evaluation", {}).items()}
    evaluations = []
    for (name,), cells in both.group_by("evaluation", maintain_order=True):
        own = original.get(str(name), str(name))
        found = _evaluation(first, second, name=str(name), original=own, cells=cells, left_out=left_out)
        if found is not None:
            evaluations.append(found)
    return Matched(
        evaluations=tuple(evaluations),
        left_out=pl.DataFrame(left_out, schema=LEFT_OUT),
        num_cells=sum(one.pairs.height * one.scores["language"].n_unique() for one in evaluations),
    )


def _without_partner(
    cells: pl.DataFrame, others: pl.DataFrame, one: ResultSet, other: ResultSet
) -> Iterator[dict[str, Any]]:
    """Yield the cells that the other study does not ask for, by the first factor that it lacks."""
    rest = cells.join(others, on=FACTORS, how="anti", maintain_order="left")
    for kind, by in (
        ("model", []),
        ("mixture", []),
        ("evaluation", []),
        ("seed", ["mixture"]),
        ("language", ["evaluation"]),
    ):
        known = others.select(*by, kind).unique()
        lacking = rest.join(known, on=[*by, kind], how="anti", maintain_order="left")
        rest = rest.join(known, on=[*by, kind], how="semi", maintain_order="left")
        for values, part in lacking.group_by(kind, *by, maintain_order=True):
            where = f" of {values[1]}" if by else ""
            yield leave_out(kind, f"{values[0]}{where}", one.label, f"not in {other.label}", num_cells=part.height)
    for (mixture, model), part in rest.group_by("mixture", "model", maintain_order=True):
        reason = f"not in the grid of {other.label}"
        yield leave_out("cell", f"{model}, {mixture}", one.label, reason, num_cells=part.height)


def _evaluation(
    first: ResultSet,
    second: ResultSet,
    *,
    name: str,
    original: str,
    cells: pl.DataFrame,
    left_out: list[dict[str, Any]],
) -> MatchedEvaluation | None:
    """Match one evaluation; what is not comparable is added to `left_out`."""
    refuse = [leave_out("evaluation", name, one.label, "", num_cells=cells.height) for one in (first, second)]
    task, other_task = first.task(name), second.task(original)
    if task != other_task:
        left_out += [one | {"reason": f"other task: {task} and {other_task}"} for one in refuse]
        return None
    a = first.scores.filter(evaluation=name)
    b = second.scores.filter(evaluation=original)
    metric = first.metric(name)
    for one, scores in ((first, a), (second, b)):
        if scores.height and metric not in scores["metric"].unique():
            left_out += [row | {"reason": f"other metric: {one.label} has no {metric}"} for row in refuse]
            return None
    same = _same_items(first, second, name, original)
    if same is None:
        left_out += [
            row | {"reason": "the prepared test corpus is missing, so items cannot be compared"} for row in refuse
        ]
        return None
    languages = cells["language"].unique().sort()
    a, b = (scores.filter(pl.col("language").is_in(languages.implode())) for scores in (a, b))
    cells = _with_scores(cells, a, b, first=first, second=second, left_out=left_out)
    a = a.filter(pl.col("run").is_in(cells["run"].implode()))
    b = b.filter(pl.col("run").is_in(cells["run_second"].implode()))
    keys = ["language", "item_id"]
    common = a.select(keys).unique().join(b.select(keys).unique(), on=keys).join(same, on=keys, how="semi")
    _count_items(a=a, b=b, common=common, same=same, first=first, second=second, name=name, left_out=left_out)
    metrics = [metric, *(one for one in a["metric"].unique(maintain_order=True) if one in b["metric"].unique())]
    if cells.is_empty() or common.is_empty():
        return None
    clusters = a.select("item_id", "cluster").unique("item_id")  # one cluster per item, as the first study has it
    scores = pl.concat(
        [
            one.join(common, on=keys, how="semi", maintain_order="left").with_columns(
                run=pl.format("{}: {}", pl.lit(side.label), "run"), evaluation=pl.lit(name)
            )
            for side, one in ((first, a), (second, b.drop("cluster").join(clusters, on="item_id").select(a.columns)))
        ]
    ).filter(pl.col("metric").is_in(metrics))
    pairs = cells.select("model", "mixture", "seed", first="run", second="run_second").unique(maintain_order=True)
    return MatchedEvaluation(name=name, task=task, metrics=tuple(dict.fromkeys(metrics)), pairs=pairs, scores=scores)


def _same_items(first: ResultSet, second: ResultSet, name: str, original: str) -> pl.DataFrame | None:
    """Return language and item_id of the items that ask the same in both studies; None if that cannot be known."""
    here = first.test_items(name)
    if first.corpus_fingerprint(name) == second.corpus_fingerprint(original):
        if here is None:  # equal fingerprints suffice
            return first.scores.filter(evaluation=name).select("language", "item_id").unique()
        return here.select("language", "item_id")
    there = second.test_items(original)
    if here is None or there is None:
        return None
    return here.join(there, on=["language", "item_id", "content"], how="semi").select("language", "item_id")


def _with_scores(
    cells: pl.DataFrame,
    a: pl.DataFrame,
    b: pl.DataFrame,
    *,
    first: ResultSet,
    second: ResultSet,
    left_out: list[dict[str, Any]],
) -> pl.DataFrame:
    """Return the cells of pairs of runs that are evaluated in every common language on both sides."""
    lacking: set[tuple[str, str]] = set()
    for side, run, scores in ((first, "run", a), (second, "run_second", b)):
        scored = scores.select(pl.col("run").alias(run), "language").unique()
        missing = cells.join(scored, on=[run, "language"], how="anti", maintain_order="left")
        for (name,), part in missing.group_by(run, maintain_order=True):
            tags = abbreviated_list(part["language"].to_list())
            reason = f"not evaluated yet: {part['evaluation'][0]} in {tags}"
            left_out.append(leave_out("cell", str(name), side.label, reason, num_cells=part.height))
        lacking |= set(missing.select("run", "run_second").iter_rows())
    return cells.filter([pair not in lacking for pair in cells.select("run", "run_second").iter_rows()])


def _count_items(
    *,
    a: pl.DataFrame,
    b: pl.DataFrame,
    common: pl.DataFrame,
    same: pl.DataFrame,
    first: ResultSet,
    second: ResultSet,
    name: str,
    left_out: list[dict[str, Any]],
) -> None:
    """Add the items that are not compared: those that only one study has, and those that ask something else."""
    keys = ["language", "item_id"]
    for side, own, others, other in ((first, a, b, second), (second, b, a, first)):
        rest = own.select(keys).unique().join(common, on=keys, how="anti")
        changed = rest.join(others.select(keys).unique(), on=keys, how="semi").join(same, on=keys, how="anti")
        only = rest.join(changed, on=keys, how="anti")
        runs = own["run"].n_unique()
        for part, reason in (
            (changed, f"prompt or gold answer differs from {other.label}"),
            (only, f"other items: not in {other.label}"),
        ):
            if part.height:
                tags = abbreviated_list(part["language"].unique().sort().to_list())
                num_cells = runs * part["language"].n_unique()
                items = part["item_id"].n_unique()
                left_out.append(
                    leave_out("items", f"{name} in {tags}", side.label, reason, num_cells=num_cells, num_items=items)
                )
