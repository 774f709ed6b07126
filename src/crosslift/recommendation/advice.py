"""From the finished runs of a study to a recommended mixture, its uncertainty, and the next runs to train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

import polars as pl

from crosslift.discover import member
from crosslift.errors import TransferError, did_you_mean
from crosslift.recommendation.acquisition import knowledge_gradient_batch
from crosslift.recommendation.further_studies import FurtherStudy, further_caveat, pooled_observations
from crosslift.recommendation.objective import Budget, Objective
from crosslift.recommendation.recommend import MIN_MIXTURES, Recommendation, recommend
from crosslift.recommendation.search import EQUIVALENCE_MARGIN, random_mixtures
from crosslift.transfer.model.cross_validation import MIN_GROUPS, CrossValidation, cross_validate
from crosslift.transfer.model.gaussian_process import fit_transfer_model
from crosslift.transfer.model.observations import Amounts, Observations, log_sizes, observations_of

if TYPE_CHECKING:
    from crosslift.execution.folder.store import Store
    from crosslift.studies.study import Study

POINTS = 100.0
"""Points per unit of a score."""
MIN_EXPECTED_GAIN = 0.0005
"""Knowledge gradient, as a share, below which a run is not worth its cost."""
NUM_RANDOM_MIXTURES = 60
"""Random mixtures among the candidates for the next run, in addition to the leading ones."""


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


@dataclass(frozen=True, kw_only=True)
class NextRun:
    """A proposed run."""

    amounts: dict[str, float]
    """Language -> amount."""
    expected_gain: float
    """Knowledge gradient: expected improvement of the choice, in the unit of the objective."""
    run: str | None
    """Name of the run if the study plans it, else None."""


@dataclass(frozen=True, kw_only=True)
class Advice:
    """A recommendation with its inputs, its validation and the next runs."""

    evaluation: str
    model: str
    budget: Budget
    objective: Objective
    recommendation: Recommendation | None
    """None if fewer than two mixtures are finished; then there are only next runs."""
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
            or the request contains a name that the study does not have.
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
    tags = tuple(request.languages) or tuple(dict.fromkeys(tag for one in amounts.values() for tag in sorted(one)))
    budget = Budget(
        amount=request.amount or max(sum(one.values()) for one in amounts.values()),
        languages=tags,
        costs=dict(request.costs),
    )
    objective = Objective(
        languages=tuple(sorted(set(cells["language"]))) or tuple(study.evaluations[evaluation].languages),
        kind=request.objective,
        weights=request.weights,
        english_at_least=request.english_at_least,
    )
    fitted = fit_transfer_model(observed)
    num_mixtures = len(set(observed.mixtures))
    if num_mixtures < MIN_MIXTURES and not request.num_next_runs:
        raise TransferError(
            f"{num_mixtures} mixtures are evaluated with '{evaluation}'; a recommendation needs {MIN_MIXTURES}. "
            "Run more: crosslift run, or list the runs to start with: crosslift recommend --next 4"
        )
    found = recommend(fitted, model, objective, budget) if num_mixtures >= MIN_MIXTURES else None
    if found is not None and further:
        found = replace(found, caveats=(*found.caveats, *(further_caveat(*one) for one in further)))
    done = own_runs
    waiting = {run: amounts[run] for run in planned.filter(model=model)["run"] if run not in done}
    candidates = _candidates(budget, found, waiting)
    pool = [one for one, _ in candidates]
    options = [one for one in (*pool, *random_mixtures(budget, NUM_RANDOM_MIXTURES)) if budget.allows(one)]
    chosen = knowledge_gradient_batch(fitted, model, objective, pool, batch_size=request.num_next_runs, options=options)
    return Advice(
        evaluation=evaluation,
        model=model,
        budget=budget,
        objective=objective,
        recommendation=found,
        validation=cross_validate(observed) if num_mixtures >= MIN_GROUPS else None,
        next_runs=[
            NextRun(amounts=dict(pool[place]), expected_gain=gain, run=candidates[place][1]) for place, gain in chosen
        ],
        runs=sorted(set(observed.runs[observed.models == model])),
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
    # Sizes of models without runs inform their predictions too.
    return Observed(evaluation, planned, cells, replace(observations_of(cells), sizes=log_sizes(planned)))


def _candidates(
    budget: Budget, found: Recommendation | None, waiting: Mapping[str, Amounts]
) -> list[tuple[Amounts, str | None]]:
    """Candidates for the next run: the unfinished runs of the study, by name; if there are none, the leading and random
    mixtures."""
    if waiting:
        return [(amounts, run) for run, amounts in waiting.items()]
    leaders: list[Amounts] = []
    if found is not None:
        leaders = [found.amounts, *(one for one, _ in found.alternatives), *(one.amounts for one in found.comparisons)]
    return [(amounts, None) for amounts in (*leaders, *random_mixtures(budget, NUM_RANDOM_MIXTURES))]


def _planned(store: Store, evaluation: str, unit: str) -> pl.DataFrame:
    """The study's trained runs that have this evaluation, finished or not, with `amounts`."""
    judged = [run for run, record in store.lock()["runs"].items() if evaluation in record["evaluations"]]
    amounts = pl.col("num_items" if unit == "items" else "num_tokens").alias("amounts")
    runs = store.runs().filter(pl.col("run").is_in(judged), pl.col("mixture") != "base")
    runs = runs.select("run", "model", "mixture", "languages", "num_parameters", "num_tokens", amounts)
    return runs.drop("num_tokens") if unit == "tokens" else runs


def _cells(store: Store, study: Study, evaluation: str, planned: pl.DataFrame) -> pl.DataFrame:
    """Mean scores of the finished runs, one row per run and language."""
    metric = member("task", study.evaluations[evaluation].task).METRICS[0]
    part = store.scores().filter(evaluation=evaluation, metric=metric).filter(pl.col("status") != "error")
    means = part.group_by("run", "evaluation", "language", maintain_order=True).agg(pl.col("value").mean())
    return means.join(planned, on="run", maintain_order="left", how="inner")


def _chosen(kind: str, wanted: str | None, known: list[str]) -> str:
    if wanted is None:
        if len(known) != 1:
            raise TransferError(f"the study has several {kind}s: {', '.join(known)}. Choose one with --{kind}")
        return known[0]
    if wanted not in known:
        raise TransferError(f"unknown {kind} '{wanted}'.{did_you_mean(wanted, known)} Known: {', '.join(known)}.")
    return wanted


def summary_lines(advice: Advice) -> list[str]:
    """Lines for the terminal: the recommendation, its comparisons, caveats and validation, and the next runs."""
    asked = (
        f"{advice.model}, {advice.evaluation}, {advice.objective.kind} over {len(advice.objective.languages)} "
        f"languages, budget {advice.budget.amount:,.0f}:"
    )
    if (found := advice.recommendation) is None:
        return [
            asked,
            f"  no recommendation: fewer than {MIN_MIXTURES} mixtures are evaluated",
            *_next_run_lines(advice),
        ]
    lines = [
        asked,
        "  " + ", ".join(f"{tag} {amount:,.0f}" for tag, amount in by_decreasing_amount(found.amounts)),
        f"  expected objective {POINTS * found.expected_objective:.1f} [{POINTS * found.low:.1f}, "
        f"{POINTS * found.high:.1f}], "
        f"within {POINTS * EQUIVALENCE_MARGIN:g} points of the best with probability {found.probability_best:.2f}",
    ]
    for other in found.comparisons:
        interval = f"[{POINTS * other.low:.1f}, {POINTS * other.high:.1f}]"
        lines.append(f"  minus {other.name}: {POINTS * other.value:+.1f} {interval} -> {other.verdict}")
    lines += [f"  {reason}" for reason in found.caveats]
    if advice.validation is not None:
        one = advice.validation
        lines.append(
            f"  cross-validation over mixtures: RMSE {POINTS * one.rmse_model:.1f} points, mean of the other mixtures "
            f"{POINTS * one.rmse_mean:.1f}, nearest mixture {POINTS * one.rmse_nearest:.1f}"
        )
    return [*lines, *_next_run_lines(advice)]


def _next_run_lines(advice: Advice) -> list[str]:
    lines = []
    if advice.next_runs and advice.next_runs[0].expected_gain < MIN_EXPECTED_GAIN:
        lines.append(
            f"  no further run is expected to improve the choice by more than {POINTS * MIN_EXPECTED_GAIN:g} points"
        )
    for number, one in enumerate(advice.worthwhile_runs, start=1):
        planned = f", planned as {one.run}" if one.run else ""
        lines.append(
            f"  next run {number}: {amounts_text(one.amounts)} (expected gain {POINTS * one.expected_gain:.2f} "
            f"points{planned})"
        )
    return lines


def by_decreasing_amount(amounts: Mapping[str, float]) -> list[tuple[str, float]]:
    """Languages with their amounts, in decreasing order; amounts that round to 0 are omitted."""
    return sorted(((tag, amount) for tag, amount in amounts.items() if round(amount) > 0), key=lambda one: -one[1])


def amounts_text(amounts: Mapping[str, float]) -> str:
    """Amounts in decreasing order, as in `sw 1,200 en 800`."""
    return " ".join(f"{tag} {amount:,.0f}" for tag, amount in by_decreasing_amount(amounts))
