"""What a transfer model of a study is fitted to: the scores of its finished runs and the amounts of their mixtures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from crosslift.errors import TransferError, did_you_mean
from crosslift.recommendation.limits import tokens_per_item
from crosslift.recommendation.question import Unit
from crosslift.scores import metric_range
from crosslift.studies.evaluation import primary_metric
from crosslift.transfer.model.measurement import effective_items
from crosslift.transfer.model.observations import AMOUNT_UNIT, Observations, log_sizes, observations_of

if TYPE_CHECKING:
    from crosslift.execution.folder.store import Store
    from crosslift.studies.study import Study


class Observed(NamedTuple):
    """What a transfer model of a study is fitted to."""

    evaluation: str
    planned: pl.DataFrame
    """The trained runs that have the evaluation, finished or not, with `amounts`."""
    cells: pl.DataFrame
    """Mean scores of the finished runs, one row per run and language, as shares of the range of the metric."""
    observations: Observations
    metric: str
    """The metric of the scores."""


def observe(
    store: Store,
    study: Study,
    *,
    evaluation: str | None = None,
    unit: Unit = "items",
    together_with: Sequence[str] = (),
) -> Observed:
    """Read what a transfer model is fitted to: the scores of the finished runs and the amounts of their mixtures.

    Args:
        store: the folder of the study.
        study: the study.
        evaluation: name of the evaluation; None if the study has only one.
        unit: unit of the amounts.
        together_with: only runs that have these evaluations as well are read.

    Raises:
        TransferError: the evaluation has no trained run, or the study has no such evaluation.
        StoreError: the study has not been prepared.
    """
    evaluation = chosen("evaluation", evaluation, list(study.evaluations))
    planned = _planned(store, {evaluation, *together_with}, unit)
    if planned.is_empty():
        others = [name for name in together_with if name != evaluation]
        raise TransferError(
            f"the study has no trained run with the evaluation '{evaluation}'"
            + (f" and {', '.join(others)}" if others else "")
            + ". Choose another with --evaluation"
        )
    scores = store.scores().filter(evaluation=evaluation)
    one = study.evaluations[evaluation]
    metric = primary_metric(one, one.task, scores["metric"].unique().to_list())
    cells = _cells(scores.filter(metric=metric), planned, metric)
    observations = observations_of(cells, amount_unit=_amount_unit(store, unit))
    # Sizes of models without runs inform their predictions too.
    return Observed(evaluation, planned, cells, replace(observations, sizes=log_sizes(planned)), metric)


def _amount_unit(store: Store, unit: str) -> float:
    """AMOUNT_UNIT items, in the unit of the amounts."""
    lengths = tokens_per_item(store.runs(), "") if unit == "tokens" else {}
    return AMOUNT_UNIT * (sum(lengths.values()) / len(lengths) if lengths else 1.0)


def _planned(store: Store, evaluations: set[str], unit: str) -> pl.DataFrame:
    """The study's trained runs that have these evaluations, finished or not, with `amounts`."""
    judged = [run for run, record in store.lock()["runs"].items() if evaluations <= set(record["evaluations"])]
    amounts = pl.col("num_items" if unit == "items" else "num_tokens").alias("amounts")
    runs = store.runs().filter(pl.col("run").is_in(judged), pl.col("mixture") != "base")
    runs = runs.select("run", "model", "mixture", "languages", "num_parameters", "num_tokens", amounts)
    return runs.drop("num_tokens") if unit == "tokens" else runs


def _cells(scores: pl.DataFrame, planned: pl.DataFrame, metric: str) -> pl.DataFrame:
    """Mean scores of the finished runs and how precisely they were measured, one row per run and language.

    Margins and probabilities of a recommendation are about shares, so ratings are given as shares of their range.
    """
    low, high = metric_range(metric)
    part = scores.filter(pl.col("status") != "error").with_columns(value=(pl.col("value") - low) / (high - low))
    part = part.join(planned.select("run", "model"), on="run", maintain_order="left")
    means = part.group_by("run", "evaluation", "language", maintain_order=True).agg(pl.col("value").mean())
    precise = effective_items(part) if part.height else None
    if precise is not None:
        means = means.join(precise, on=["run", "language"], maintain_order="left", how="left")
    return means.join(planned, on="run", maintain_order="left", how="inner")


def chosen(kind: str, wanted: str | None, known: list[str]) -> str:
    """The only known name, or the wanted one.

    Raises:
        TransferError: there are several names and none is wanted, or the wanted one is unknown.
    """
    if wanted is None:
        if len(known) != 1:
            raise TransferError(f"the study has several {kind}s: {', '.join(known)}. Choose one with --{kind}")
        return known[0]
    if wanted not in known:
        raise TransferError(f"unknown {kind} '{wanted}'.{did_you_mean(wanted, known)} Known: {', '.join(known)}.")
    return wanted
