"""Statements on the differences between paired conditions of two studies, in one metric of one evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from crosslift.comparing.paired.matching import MatchedEvaluation, side_of
from crosslift.comparing.result_set import ResultSet
from crosslift.studies.study import Contrast
from crosslift.transfer.estimates.conditions import Condition, ResampledPanel
from crosslift.transfer.estimates.estimands import GAIN
from crosslift.transfer.estimates.estimate import compared, mean_of
from crosslift.transfer.estimates.language_groups import language_groups
from crosslift.transfer.estimates.panel import Panel
from crosslift.transfer.estimates.statement import Statement, rows_of_statements

Part = Literal["summary", "mixture", "seed"]


@dataclass(frozen=True, kw_only=True)
class _Difference:
    """A statement with what it is about."""

    part: Part
    model: str
    mixture: str
    seed: int | None
    label: str
    statement: Statement
    keys: tuple[tuple[tuple[str, str], tuple[str, str]], ...]
    """Keys of the conditions (first, second) that the statement averages."""
    same: bool


def difference_rows(
    found: MatchedEvaluation,
    panel: Panel,
    *,
    first: ResultSet,
    second: ResultSet,
    same: set[tuple[str, str]],
    level: float,
    num_resamples: int,
    seed: int,
) -> list[dict[str, Any]]:
    """Estimate all differences in one metric of one evaluation.

    Args:
        found: what the studies have in common in the evaluation.
        panel: scores of both studies in one metric.
        first: the study that is subtracted.
        second: the other study.
        same: pairs of runs that are one result on disk.
        level: coverage of each single interval.
        num_resamples: bootstrap resamples.
        seed: of the resampling.

    Returns:
        Rows with the columns of ESTIMATES and of `paired.compare.COMPARED`, except verdicts.
    """
    trained = dict(second.runs.select("run", "languages").iter_rows())
    pairs: list[tuple[Part, Condition, Condition, int | None, bool]] = []
    for (model, mixture), part in found.pairs.group_by("model", "mixture", maintain_order=True):
        rows = part.rows(named=True)
        groups: list[tuple[Part, list[dict[str, Any]]]] = [("mixture", rows)]
        if len(rows) > 1:
            groups += [("seed", [row]) for row in rows]
        for kind, chosen in groups:
            number = int(chosen[0]["seed"]) if kind == "seed" else None
            own = f"{mixture}" if number is None else f"{mixture} seed {number}"
            sides = [
                Condition(
                    model=str(model),
                    mixture=f"{own} of {one.label}",
                    setting=found.task,
                    trained=tuple(trained.get(chosen[0]["second"]) or ()),
                    runs=tuple(side_of(one, row[side]) for row in chosen),
                )
                for side, one in (("first", first), ("second", second))
            ]
            is_same = all((row["first"], row["second"]) in same for row in chosen)
            pairs.append((kind, sides[0], sides[1], number, is_same))
    resampled = ResampledPanel(
        panel=panel,
        conditions=tuple(one for _, *sides, _, _ in pairs for one in sides),
        num_resamples=num_resamples,
        seed=seed,
    )
    # Pairs of single runs have conditions of their own; run-to-run noise is pooled over conditions with several seeds.
    primary = panel.metric == found.metrics[0]
    wanted = [*_differences(resampled, pairs, first, second)]
    wanted = [*_summaries(wanted, first, second, primary=primary), *wanted]
    rows_found = rows_of_statements(resampled, [one.statement for one in wanted], level=level)
    return [
        row
        | {
            "part": one.part,
            "model": one.model,
            "mixture": one.mixture,
            "seed": one.seed,
            "is_primary_metric": primary,
            "same_result": one.same,
        }
        | _scores(resampled, one)
        | (_SAME if one.same else {})
        for row, one in zip(rows_found, wanted, strict=True)
    ]


def _differences(
    resampled: ResampledPanel,
    pairs: Sequence[tuple[Part, Condition, Condition, int | None, bool]],
    first: ResultSet,
    second: ResultSet,
) -> Iterator[_Difference]:
    contrast = Contrast(name=f"{second.label} - {first.label}", control=first.label, treatments=(second.label,))
    for part, here, there, seed, same in pairs:
        mixture = here.mixture.removesuffix(f" of {first.label}").removesuffix(f" seed {seed}")
        for label in language_groups(resampled.panel.languages, there.trained):
            statement = compared(resampled, GAIN, label, there, here, contrast=contrast, primary=False)
            if statement.unavailable_reason.endswith("no such language"):
                continue
            if mixture == "base" and statement.statistic is not None:  # a base model has no training seed
                statement = replace(
                    statement, statistic=replace(statement.statistic, single_seed_conditions=frozenset())
                )
            estimand = "difference of one pair of runs" if part == "seed" else "difference"
            yield _Difference(
                part=part,
                model=here.model,
                mixture=mixture,
                seed=seed,
                label=label,
                statement=replace(statement, columns=statement.columns | {"estimand": estimand}),
                keys=((here.key, there.key),),
                same=same,
            )


def _summaries(
    found: Sequence[_Difference], first: ResultSet, second: ResultSet, *, primary: bool
) -> Iterator[_Difference]:
    """Yield the mean over the trained mixtures of each model that can be estimated and are not one and the same run."""
    groups: dict[tuple[str, str], list[_Difference]] = {}
    for one in found:
        usable = (
            one.part == "mixture" and one.mixture != "base" and not one.same and one.statement.statistic is not None
        )
        if usable:
            groups.setdefault((one.model, one.label), []).append(one)
    contrast = Contrast(name=f"{second.label} - {first.label}", control=first.label, treatments=(second.label,))
    for (model, label), parts in groups.items():
        statement = mean_of([one.statement for one in parts], contrast, primary=primary and label == "all")
        yield _Difference(
            part="summary",
            model=model,
            mixture=f"mean of {len(parts)}",
            seed=None,
            label=label,
            statement=statement,
            keys=tuple(key for one in parts for key in one.keys),
            same=False,
        )


_SAME = {"low": None, "high": None, "p": None, "method": "", "note": "one result of both definitions"}


def _scores(resampled: ResampledPanel, one: _Difference) -> dict[str, float | None]:
    """Mean scores of both sides; null where the difference has no value."""
    if one.statement.statistic is None:
        return {"first": None, "second": None}
    positions = one.statement.language_positions
    sides = ([resampled.condition_means(key[side])[positions, 0].mean() for key in one.keys] for side in (0, 1))
    here, there = (float(np.mean(side)) for side in sides)
    return {"first": here, "second": there}
