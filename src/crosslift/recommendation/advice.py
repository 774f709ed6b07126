"""From the finished runs of a study to a recommended mixture, its uncertainty, and the next runs to train."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

import polars as pl

from crosslift.discover import member
from crosslift.errors import TransferError, did_you_mean
from crosslift.recommendation.acquisition import NextRun, propose_runs
from crosslift.recommendation.further_studies import FurtherStudy, further_caveat, pooled_observations
from crosslift.recommendation.limits import MOST_BEYOND, limited_budget, tokens_per_item
from crosslift.recommendation.objective import Budget, Objective
from crosslift.recommendation.pattern import Pattern, pattern_of
from crosslift.recommendation.recommend import MIN_MIXTURES, Recommendation, Undecided, recommend
from crosslift.recommendation.search import EQUIVALENCE_MARGIN
from crosslift.transfer.model.cross_validation import MIN_GROUPS, CrossValidation, cross_validate
from crosslift.transfer.model.gaussian_process import fit_transfer_model
from crosslift.transfer.model.measurement import effective_items
from crosslift.transfer.model.observations import (
    AMOUNT_UNIT,
    Amounts,
    Observations,
    log_sizes,
    observations_of,
)

if TYPE_CHECKING:
    from crosslift.execution.folder.store import Store
    from crosslift.studies.study import Study

MIN_EXPECTED_GAIN = 0.0005
"""Knowledge gradient, as a share, below which a run is not worth its cost."""


@dataclass(frozen=True, kw_only=True)
class RecommendationRequest:
    """Options of a recommendation. None or empty means: taken from the study."""

    evaluation: str | None = None
    """Name of the evaluation that provides the scores."""
    model: str | None = None
    """Name of the model that is to be trained."""
    amount: float | None = None
    """Budget; None: the total amount of the largest mixture."""
    unit: Literal["items", "tokens"] = "items"
    """Unit of the amounts."""
    languages: Sequence[str] = ()
    """Tags of the languages that a mixture may contain."""
    costs: Mapping[str, float] = field(default_factory=dict)
    """Language -> cost of one unit; 1 by default."""
    objective: Literal["mean", "worst", "weighted"] = "mean"
    """See `objective.Objective.kind`."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Language -> weight in the objective "weighted"."""
    english_at_least: float | None = None
    """Lower bound of the English score, as a share."""
    num_next_runs: int = 0
    """Number of next runs to propose."""
    margin: float = EQUIVALENCE_MARGIN
    """See `recommend.recommend`."""
    running: Collection[str] = ()
    """Names of planned runs in progress: they are not proposed, and their outcomes are taken into account."""
    excluded: Collection[str] = ()
    """Names of further planned runs that are not proposed."""
    exploring: bool = False
    """Whether planned mixtures are candidates too, and next runs are new ones where too few are planned."""


@dataclass(frozen=True, kw_only=True)
class Advice:
    """A recommendation with its inputs, its validation and the next runs."""

    evaluation: str
    model: str
    unit: Literal["items", "tokens"]
    """Unit of the amounts."""
    budget: Budget
    """The budget with the limits of the data."""
    pattern: Pattern
    """How the mixtures of the study are built."""
    objective: Objective
    recommendation: Recommendation | None
    """None if fewer than two mixtures are finished or the data cannot tell; then there are only next runs."""
    undecided: str
    """Why the data cannot tell; "" if they can, or if fewer than two mixtures are finished."""
    limits: tuple[str, ...]
    """Sentences on the limits of the data that keep the budget from being spent."""
    validation: CrossValidation | None
    """Cross-validation of the transfer model; None if there are too few mixtures."""
    next_runs: list[NextRun]
    runs: list[str]
    """Names of the model's observed runs."""

    @property
    def worthwhile_runs(self) -> list[NextRun]:
        """Next runs with an expected gain of at least MIN_EXPECTED_GAIN, and next runs that the study plans."""
        return [one for one in self.next_runs if one.run or one.expected_gain >= MIN_EXPECTED_GAIN]


def advise(
    store: Store, study: Study, request: RecommendationRequest, *, others: Sequence[FurtherStudy] = ()
) -> Advice:
    """Fit the transfer model to the finished runs, validate it, and recommend a mixture and next runs.

    Args:
        store: the folder of the study.
        study: the study.
        request: options.
        others: further studies to learn from, with the same evaluation; the recommendation is for the first.

    Raises:
        TransferError: the evaluation has no trained run, too few mixtures are finished and no next runs are requested,
            no mixture satisfies the constraints, or the request contains a name that the study does not have.
        StoreError: the study has not been prepared.
    """
    evaluation, planned, cells, observed = observe(store, study, evaluation=request.evaluation, unit=request.unit)
    own_runs, further = set(observed.runs), []
    for other in others:
        seen = observe(other.store, other.study, evaluation=evaluation, unit=request.unit)
        further.append((other.label, seen.observations))
    observed = pooled_observations(observed, further)
    model = _chosen("model", request.model, list(dict.fromkeys(planned["model"])))
    amounts = {
        row["run"]: dict(zip(row["languages"], map(float, row["amounts"]), strict=True))
        for row in planned.iter_rows(named=True)
    }
    pattern = pattern_of(study, evaluation)
    budget = limited_budget(
        amount=request.amount,
        languages=request.languages,
        costs=request.costs,
        tried=list(observed.amounts.values()) or list(amounts.values()),
        pattern=pattern,
        num_items={name: record["num_items"] for name, record in store.lock()["corpora"].items()},
        tokens_per_item=None if request.unit == "items" else tokens_per_item(store.runs(), model),
    )
    objective = Objective(
        languages=tuple(sorted(set(cells["language"]))) or tuple(study.evaluations[evaluation].languages),
        kind=request.objective,
        weights=request.weights,
        english_at_least=request.english_at_least,
    )
    if objective.kind == "weighted" and not any(objective.weights.get(tag, 0.0) for tag in objective.languages):
        raise TransferError(
            f"no evaluated language has a weight above 0. Evaluated are {', '.join(objective.languages)}. Change "
            "--weight"
        )
    fitted = fit_transfer_model(observed)
    num_mixtures = len(set(observed.mixtures))
    if num_mixtures < MIN_MIXTURES and not request.num_next_runs:
        raise TransferError(
            f"{num_mixtures} mixtures are evaluated with '{evaluation}'; a recommendation needs {MIN_MIXTURES}. "
            "Run more: crosslift run, or list the runs to start with: crosslift recommend --next 4"
        )
    waiting = {run: amounts[run] for run in planned.filter(model=model)["run"] if run not in own_runs}
    found = None
    if num_mixtures >= MIN_MIXTURES:
        further_mixtures = list(waiting.values()) if request.exploring else []
        found = recommend(fitted, model, objective, budget, further=further_mixtures, margin=request.margin)
    recommendation = found if isinstance(found, Recommendation) else None
    if recommendation is not None and further:
        told = (further_caveat(*one) for one in further)
        recommendation = replace(recommendation, caveats=(*recommendation.caveats, *told))
    return Advice(
        evaluation=evaluation,
        model=model,
        unit=request.unit,
        budget=budget,
        pattern=pattern,
        objective=objective,
        recommendation=recommendation,
        undecided=found.reason if isinstance(found, Undecided) else "",
        limits=_limits(budget, recommendation),
        validation=cross_validate(observed) if num_mixtures >= MIN_GROUPS else None,
        next_runs=propose_runs(
            fitted,
            model,
            objective,
            budget,
            leaders=[] if recommendation is None else _leaders(recommendation),
            waiting={run: one for run, one in waiting.items() if run not in {*request.running, *request.excluded}},
            pending=[waiting[run] for run in request.running if run in waiting],
            num_runs=request.num_next_runs,
            also_new=request.exploring,
        ),
        runs=sorted(set(observed.runs[observed.models == model])),
    )


def _leaders(found: Recommendation) -> list[Amounts]:
    """The mixtures that a recommendation names."""
    return [found.amounts, *(one for one, _ in found.alternatives), *(one.amounts for one in found.comparisons)]


def _limits(budget: Budget, found: Recommendation | None) -> tuple[str, ...]:
    """A sentence if the limits of the data leave a tenth of the budget or more unspent."""
    if found is None or (spent := budget.cost_of(found.amounts)) > 0.9 * budget.amount:
        return ()
    return (
        f"{spent:,.0f} of the budget is spent: a mixture has no more items than the corpora hold, and at most "
        f"{MOST_BEYOND:g} times what was tried",
    )


class Observed(NamedTuple):
    """What a transfer model of a study is fitted to."""

    evaluation: str
    planned: pl.DataFrame
    """The trained runs that have the evaluation, finished or not, with `amounts`."""
    cells: pl.DataFrame
    """Mean scores of the finished runs, one row per run and language."""
    observations: Observations


def observe(
    store: Store, study: Study, *, evaluation: str | None = None, unit: Literal["items", "tokens"] = "items"
) -> Observed:
    """Read what a transfer model is fitted to: the scores of the finished runs and the amounts of their mixtures.

    Args:
        store: the folder of the study.
        study: the study.
        evaluation: name of the evaluation; None if the study has only one.
        unit: unit of the amounts.

    Raises:
        TransferError: the evaluation has no trained run, or the study has no such evaluation.
        StoreError: the study has not been prepared.
    """
    evaluation = _chosen("evaluation", evaluation, list(study.evaluations))
    planned = _planned(store, evaluation, unit)
    if planned.is_empty():
        raise TransferError(
            f"the study has no trained run with the evaluation '{evaluation}'. Choose another with --evaluation"
        )
    cells = _cells(store, study, evaluation, planned)
    observations = observations_of(cells, amount_unit=_amount_unit(store, unit))
    # Sizes of models without runs inform their predictions too.
    return Observed(evaluation, planned, cells, replace(observations, sizes=log_sizes(planned)))


def _amount_unit(store: Store, unit: str) -> float:
    """AMOUNT_UNIT items, in the unit of the amounts."""
    lengths = tokens_per_item(store.runs(), "") if unit == "tokens" else {}
    return AMOUNT_UNIT * (sum(lengths.values()) / len(lengths) if lengths else 1.0)


def _planned(store: Store, evaluation: str, unit: str) -> pl.DataFrame:
    """The study's trained runs that have this evaluation, finished or not, with `amounts`."""
    judged = [run for run, record in store.lock()["runs"].items() if evaluation in record["evaluations"]]
    amounts = pl.col("num_items" if unit == "items" else "num_tokens").alias("amounts")
    runs = store.runs().filter(pl.col("run").is_in(judged), pl.col("mixture") != "base")
    runs = runs.select("run", "model", "mixture", "languages", "num_parameters", "num_tokens", amounts)
    return runs.drop("num_tokens") if unit == "tokens" else runs


def _cells(store: Store, study: Study, evaluation: str, planned: pl.DataFrame) -> pl.DataFrame:
    """Mean scores of the finished runs and how precisely they were measured, one row per run and language."""
    metric = member("task", study.evaluations[evaluation].task).METRICS[0]
    part = store.scores().filter(evaluation=evaluation, metric=metric).filter(pl.col("status") != "error")
    part = part.join(planned.select("run", "model"), on="run", maintain_order="left")
    means = part.group_by("run", "evaluation", "language", maintain_order=True).agg(pl.col("value").mean())
    precise = effective_items(part) if part.height else None
    if precise is not None:
        means = means.join(precise, on=["run", "language"], maintain_order="left", how="left")
    return means.join(planned, on="run", maintain_order="left", how="inner")


def _chosen(kind: str, wanted: str | None, known: list[str]) -> str:
    if wanted is None:
        if len(known) != 1:
            raise TransferError(f"the study has several {kind}s: {', '.join(known)}. Choose one with --{kind}")
        return known[0]
    if wanted not in known:
        raise TransferError(f"unknown {kind} '{wanted}'.{did_you_mean(wanted, known)} Known: {', '.join(known)}.")
    return wanted
