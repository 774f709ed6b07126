"""Recommendations of a study: options, advice and its page, and the model that is trained on the chosen mixture."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from crosslift.execution.folder.step_graph import StepGraph
    from crosslift.exploring.explore import Display, Explored
    from crosslift.exploring.goal import Certainty, Limits
    from crosslift.final.folder import FinalModel
    from crosslift.final.plan import FinalPlan
    from crosslift.recommendation.advice import Advice, RecommendationRequest
    from crosslift.recommendation.further_studies import FurtherStudy
    from crosslift.studies.site import Site


def advise_graph(
    graph: StepGraph,
    *,
    evaluation: str | None = None,
    model: str | None = None,
    budget: float | None = None,
    unit: Literal["items", "tokens"] = "items",
    languages: Iterable[str] = (),
    costs: Mapping[str, float] | None = None,
    objective: Literal["mean", "worst", "weighted"] = "mean",
    weights: Mapping[str, float] | None = None,
    english_at_least: float | None = None,
    num_next_runs: int = 3,
    others: Sequence[str | Path] = (),
) -> Advice:
    """Recommend a mixture and next runs; arguments as for `crosslift.Study.recommend`.

    Without `weights`, the objective "weighted" weights languages by their numbers of speakers.
    """
    from crosslift.recommendation.advice import advise

    request = recommendation_request(
        evaluation=evaluation,
        model=model,
        budget=budget,
        unit=unit,
        languages=languages,
        costs=costs,
        objective=objective,
        weights=weights,
        english_at_least=english_at_least,
        num_next_runs=num_next_runs,
    )
    return advise(graph.store, graph.study, request, others=_further_studies(graph, evaluation, others))


def recommendation_request(
    *,
    evaluation: str | None = None,
    model: str | None = None,
    budget: float | None = None,
    unit: Literal["items", "tokens"] = "items",
    languages: Iterable[str] = (),
    costs: Mapping[str, float] | None = None,
    objective: Literal["mean", "worst", "weighted"] = "mean",
    weights: Mapping[str, float] | None = None,
    english_at_least: float | None = None,
    num_next_runs: int = 0,
) -> RecommendationRequest:
    """Check the options of a recommendation; arguments as for `crosslift.Study.recommend`.

    Raises:
        StudyError: an option is out of range; all problems are listed.
        UnknownName: a language is unknown.
    """
    from crosslift.errors import StudyError
    from crosslift.languages.similarity import known
    from crosslift.languages.tags import resolve_all
    from crosslift.recommendation.advice import RecommendationRequest

    problems = option_problems(unit=unit, objective=objective, budget=budget, costs=costs, weights=weights)
    if problems:
        raise StudyError(problems)
    if objective == "weighted" and not weights:
        weights = {tag: float(facts.speakers) for tag, facts in known().items() if facts.speakers}
    return RecommendationRequest(
        evaluation=evaluation,
        model=model,
        amount=budget,
        unit=unit,
        languages=tuple(resolve_all(languages).values()),
        costs=dict(costs or {}),
        objective=objective,
        weights=dict(weights or {}),
        english_at_least=english_at_least,
        num_next_runs=num_next_runs,
    )


def explore_graph(
    graph: StepGraph,
    request: RecommendationRequest,
    *,
    certainty: Certainty,
    limits: Limits,
    batch_size: int | None,
    site: Site,
    site_file: Path | None,
    say: Callable[[str], None],
    watch: Display,
) -> tuple[Explored, Path | None]:
    """Execute batches of runs until the decision is as sure as asked, and write the report.

    Args:
        graph: the steps of the study.
        request: the question.
        certainty: how sure the decision must be.
        limits: what may be spent, earlier calls included.
        batch_size: runs per batch; None: one per worker.
        site: where and how the runs are executed.
        site_file: the site's file, passed on to the workers.
        say: receives lines of progress.
        watch: creates the display of the progress of a batch, a context manager.

    Returns:
        The result, and the HTML page of the report; None if nothing has been evaluated.

    Raises:
        StudyError: an argument is out of range, or the site asks for a rehearsal.
        MissingPackage: an extra that training or the report needs is not installed; nothing has been started.
        CrossliftError: the study cannot be prepared or extended, or the workers cannot run.
    """
    from crosslift.api.running import update_report
    from crosslift.errors import StudyError
    from crosslift.execution.folder.result_tables import rebuild_result_tables
    from crosslift.execution.workers.executors.local import default_workers
    from crosslift.exploring.decide import Ask
    from crosslift.exploring.explore import explore
    from crosslift.exploring.goal import goal_problems
    from crosslift.extras import require

    problems = goal_problems(certainty, limits)
    if graph.study.results is not None:
        problems.append("the site file asks for a rehearsal. Remove rehearsal from it to explore.")
    if problems:
        raise StudyError(problems)
    require("transformers", "scipy", "altair", "vl_convert")  # the last three are first used by the report
    ask = Ask(request=request, certainty=certainty, limits=limits, batch_size=batch_size or default_workers(site))
    found = explore(graph.study, ask, site, site_file=site_file, say=say, watch=watch)
    states = found.graph.states()
    if not any(state.results for state in states.values()):
        return found, None
    tables = rebuild_result_tables(found.graph, states)
    return found, update_report(found.graph, tables, say=say, force=True)


def _further_studies(graph: StepGraph, evaluation: str | None, folders: Sequence[str | Path]) -> list[FurtherStudy]:
    """Open further studies, and check that their evaluation is the same."""
    from crosslift.recommendation.further_studies import FurtherStudy

    if not folders:
        return []
    from crosslift.api.opening import open_result_sets
    from crosslift.comparing.evaluations import require_same_evaluation

    first, *others = open_result_sets([graph.study.folder, *map(Path, folders)])
    require_same_evaluation(first, others, evaluation)
    return [FurtherStudy(label=one.label, study=one.study, store=one.store) for one in others]


def option_problems(
    *,
    unit: str,
    objective: str,
    budget: float | None,
    costs: Mapping[str, float] | None,
    weights: Mapping[str, float] | None,
    prefix: str = "",
) -> list[str]:
    """Check the options of a recommendation.

    Args:
        unit: unit of the budget.
        objective: the objective.
        budget: maximum cost.
        costs: language -> cost of one unit.
        weights: language -> weight.
        prefix: of the names of options in messages, such as "--".

    Returns:
        One message per problem.
    """
    problems = []
    if unit not in ("items", "tokens"):
        problems.append(f"{prefix}unit {unit}: must be items or tokens.")
    if objective not in ("mean", "worst", "weighted"):
        problems.append(f"{prefix}objective {objective}: must be mean, worst or weighted.")
    if budget is not None and not (math.isfinite(budget) and budget > 0):
        problems.append(f"{prefix}budget {budget}: must be a finite number above 0.")
    for tag, cost in (costs or {}).items():
        if not math.isfinite(cost) or cost <= 0:
            problems.append(f"{prefix}cost {tag}={cost:g}: must be a finite number above 0.")
    if weights and not any(weights.values()):
        problems.append(f"{prefix}weight: at least one language needs a weight above 0.")
    return problems


def write_advice(graph: StepGraph, advice: Advice) -> Path | None:
    """Write the page of a recommendation and its mixture.

    Args:
        graph: the steps of the study.
        advice: the recommendation.

    Returns:
        Path of the page; None if there is no recommendation.
    """
    from crosslift.reporting.questions.recommendation import write_recommendation
    from crosslift.system.files import remove_leftovers
    from crosslift.system.leases import waiting_lease

    if advice.recommendation is None:
        return None
    place = graph.store.report_folder / "recommendation"
    with waiting_lease(place):
        remove_leftovers(place, below=True)
        return write_recommendation(place, graph.study, advice)


def final_plan(
    graph: StepGraph,
    *,
    mixture: str | None,
    advice: Advice | None,
    model: str | None = None,
    seed: int = 0,
    num_items: int | None = None,
    merge: bool = False,
    say: Callable[[str], None],
) -> FinalPlan:
    """Plan the training of a mixture at its full size; prepares the study if it has not been prepared.

    Args:
        graph: the steps of the study.
        mixture: name of the mixture; None with `advice`.
        advice: the recommendation to follow; None with `mixture`.
        model: name of the model; None for that of the recommendation or the study's only one.
        seed: training seed.
        num_items: examples in total; None for all that the corpora hold.
        merge: merge an adapter into full weights.
        say: receives lines of progress.

    Returns:
        The plan.

    Raises:
        StudyError: not exactly one of mixture and recommendation is given, or an argument is out of range.
        TransferError: the finished runs cannot tell which mixture is best.
        CrossliftError: the study is not as it was prepared, or the corpora hold too few items.
    """
    from crosslift.errors import StudyError
    from crosslift.execution.phases.prepare import prepare, require_prepared
    from crosslift.final.choice import named, recommended
    from crosslift.final.plan import make_plan

    problems = []
    if (mixture is None) == (advice is None):
        problems.append("choose either a mixture of the study or the recommended one.")
    if graph.study.results is not None:
        problems.append("the site file asks for a rehearsal. Remove rehearsal from it to train the final model.")
    if seed < 0:
        problems.append(f"seed {seed}: must be at least 0.")
    if num_items is not None and num_items < 1:
        problems.append(f"items {num_items}: must be at least 1.")
    if problems:
        raise StudyError(problems)
    if graph.store.lock_file.is_file():
        require_prepared(graph)
    prepare(graph, say=say)  # also restores damaged files
    graph.forget()
    chosen = recommended(graph, advice) if advice is not None else named(graph, mixture or "", model=model)
    return make_plan(graph, chosen, seed=seed, num_items=num_items, merge=merge)


def train_plan(
    graph: StepGraph, plan: FinalPlan, folder: Path, *, site: Site, say: Callable[[str], None]
) -> FinalModel:
    """Train a plan of `final_plan` in this process and write the model folder.

    Args:
        graph: the steps of the study.
        plan: what to train.
        folder: the model folder.
        site: the site, for the device and the options of generators.
        say: receives lines of progress.

    Returns:
        The finished model.

    Raises:
        MissingPackage: a package for training is not installed; nothing has been started.
        CrossliftError: the model cannot be trained, or the folder holds something else.
    """
    from crosslift.extras import require
    from crosslift.final.train import train_final

    require("transformers", "peft")
    return train_final(graph, plan, folder, device=site.device, generators=site.generators, say=say)
