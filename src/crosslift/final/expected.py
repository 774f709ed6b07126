"""Expected scores of the final model, per language with intervals, from finished runs or from the transfer model."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from crosslift.execution.folder.step_graph import StepGraph
from crosslift.recommendation.advice import Advice
from crosslift.recommendation.objective import cell_of
from crosslift.scores import metric_range
from crosslift.studies.evaluation import primary_metrics
from crosslift.transfer.estimates.estimate import estimate
from crosslift.transfer.estimates.panel import scores_of


@dataclass(frozen=True, kw_only=True)
class ExpectedScore:
    """Expected mean score in one language. Values are in the unit of the metric; the interval is at 95 %."""

    evaluation: str
    metric: str
    language: str
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """Expected scores and what they are based on."""

    basis: str
    """A sentence."""
    scores: tuple[ExpectedScore, ...]


def measured(graph: StepGraph, model: str, mixture: str) -> Expectation | None:
    """Read the scores that the finished runs of a mixture have reached.

    Args:
        graph: the steps of the study.
        model: name of the model.
        mixture: name of the mixture.

    Returns:
        Mean scores in the primary metric of each evaluation with intervals; None if no run of the mixture is evaluated.
    """
    runs = graph.store.runs().filter(model=model, mixture=mixture)
    scores = graph.store.scores()
    scored = scores.select("evaluation", "task", "metric").unique().sort(pl.all())
    primary = primary_metrics(graph.study.evaluations, scored.iter_rows())
    scores = scores_of(scores, primary)
    scores = scores.filter(pl.col("run").is_in(runs["run"].to_list()))
    if scores.is_empty():
        return None
    runs = runs.filter(pl.col("run").is_in(scores["run"].unique().to_list()))
    rows = estimate(scores, runs, [], primary_metrics=primary).filter(
        pl.col("languages").is_in(scores["language"].unique().to_list()),
        pl.col("value").is_not_null(),
        estimand="score",
    )
    number = "one run" if runs.height == 1 else f"{runs.height} runs with different training seeds"
    items = sum(runs["num_items"].to_list()[0])
    single = " The interval covers the test items only, not the noise between runs." if runs.height == 1 else ""
    return Expectation(
        basis=f"Measured in the study: {number} of this mixture with {items:,} items each.{single}",
        scores=tuple(
            ExpectedScore(
                evaluation=row["evaluation"],
                metric=row["metric"],
                language=row["languages"],
                value=row["value"],
                low=row["low"],
                high=row["high"],
            )
            for row in rows.iter_rows(named=True)
        ),
    )


def predicted(graph: StepGraph, advice: Advice) -> Expectation:
    """Predict the scores of a recommended mixture with the transfer model of the study.

    Args:
        graph: the steps of the study.
        advice: the recommendation, which must exist.

    Returns:
        Expected scores with credible intervals, within the metric's range.
    """
    assert advice.recommendation is not None
    found = advice.recommendation
    labels = list(found.expected_by_language)
    lows, highs = advice.fitted.predict_interval([found.amounts], advice.model, labels)
    cells = [(evaluation or advice.evaluation, tag) for evaluation, tag in map(cell_of, labels)]
    total = round(sum(found.amounts.values()))
    scored = graph.store.scores().select("evaluation", "task", "metric").unique().sort(pl.all())
    metrics = primary_metrics(graph.study.evaluations, scored.iter_rows())

    def own_unit(evaluation: str, share: float) -> float:
        lowest, highest = metric_range(metrics[evaluation])
        return lowest + (highest - lowest) * share

    return Expectation(
        basis=f"Predicted by the transfer model of the study from {len(advice.runs)} finished runs, for {total:,} "
        "items in these shares.",
        scores=tuple(
            ExpectedScore(
                evaluation=evaluation,
                metric=metrics[evaluation],
                language=tag,
                value=own_unit(evaluation, value),
                low=own_unit(evaluation, float(low)),
                high=own_unit(evaluation, float(high)),
            )
            for (evaluation, tag), value, low, high in zip(
                cells, found.expected_by_language.values(), lows, highs, strict=True
            )
        ),
    )
