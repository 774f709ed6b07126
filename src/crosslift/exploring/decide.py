"""One decision of an exploration: what is believed now, whether it suffices, and which runs come next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.store import Store
from crosslift.exploring.cost import RunCost, measured_hours, run_cost
from crosslift.exploring.goal import Certainty, Limits
from crosslift.exploring.journal import Entry, next_number, read_entries
from crosslift.fingerprint import fingerprint
from crosslift.recommendation.acquisition import NextRun
from crosslift.recommendation.advice import Advice, RecommendationRequest, advise, observe
from crosslift.recommendation.pattern import pattern_of
from crosslift.recommendation.recommend import MIN_MIXTURES
from crosslift.system.leases import lease_holder
from crosslift.transfer.model.observations import Amounts, content_key


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What an exploration is asked."""

    request: RecommendationRequest
    """The question; its number of next runs is ignored."""
    certainty: Certainty
    limits: Limits
    batch_size: int
    """Runs of a batch: as many as there are workers."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What follows from the finished runs."""

    entry: Entry
    """For the journal; the runs of its batch are added when the study has them."""
    advice: Advice
    chosen: tuple[NextRun, ...]
    """The next runs; empty if the exploration ends, or if runs of an earlier batch are not finished."""
    unfinished: tuple[str, ...]
    """Runs of an earlier batch that are neither finished nor failed: they are executed first."""
    failed: tuple[str, ...]
    """Runs of this exploration that failed."""


def decide(graph: StepGraph, ask: Ask) -> Decision:
    """Read the finished runs and decide.

    Args:
        graph: the steps of the prepared study.
        ask: what is asked.

    Raises:
        TransferError: the question does not fit the study.
    """
    store = graph.store
    evaluation, planned, _, _ = observe(store, graph.study, evaluation=ask.request.evaluation, unit=ask.request.unit)
    table: dict[str, tuple[str, Amounts]] = {
        row["run"]: (row["model"], dict(zip(row["languages"], map(float, row["amounts"]), strict=True)))
        for row in planned.iter_rows(named=True)
    }
    states = graph.states([graph.runs[run] for run in table])
    running = {run for run in table if not states[run].done and lease_holder(store.run_folder(run)) is not None}
    failed = {run for run in table if store.error(run) is not None} - running
    request = _stable(ask.request, graph, evaluation, [amounts for _, amounts in table.values()])
    request = replace(
        request,
        num_next_runs=ask.batch_size,
        margin=ask.certainty.margin,
        running=sorted(running),
        excluded=sorted(failed),
        exploring=True,
    )
    advice = advise(store, graph.study, request)
    here = {run: amounts for run, (model, amounts) in table.items() if model == advice.model}
    question = _question(request, advice)
    explored = _explored(store, question, here)
    unfinished = tuple(run for run in explored if not states[run].done and run not in failed)
    hours = measured_hours(store, explored)
    cost = run_cost(graph, advice.model, here, unit=request.unit)
    chosen = () if unfinished else _affordable(advice.next_runs, ask, cost, num_runs=len(explored), hours=hours)
    found = advice.recommendation
    decided = found is not None and found.probability_best >= ask.certainty.probability
    stop = ""
    if decided:
        stop = f"the mixture is {ask.certainty}, as was asked"
    elif not chosen and not unfinished:
        stop = "the budget is spent" if advice.next_runs else "there is no further mixture to try"
    entry = Entry(
        number=next_number(store),
        asked=_in_words(advice),
        question=question,
        model=advice.model,
        num_finished=sum(states[run].done for run in here),
        num_explored=len(explored),
        hours=round(hours, 6),
        amounts={} if found is None else found.amounts,
        mixture="" if found is None else _name_of(found.amounts, here, graph),
        expected=None if found is None else found.expected_objective,
        low=None if found is None else found.low,
        high=None if found is None else found.high,
        probability=None if found is None else found.probability_best,
        margin=ask.certainty.margin,
        wanted=ask.certainty.probability,
        undecided=_undecided(advice),
        stop=stop,
        decided=decided,
    )
    return Decision(
        entry=entry,
        advice=advice,
        chosen=() if decided else tuple(chosen),
        unfinished=() if decided else unfinished,
        failed=tuple(run for run in explored if run in failed),
    )


def _stable(
    request: RecommendationRequest, graph: StepGraph, evaluation: str, planned: Sequence[Amounts]
) -> RecommendationRequest:
    """The request with languages and budget taken from what is planned, not from what is finished, which is little at
    first: the question must not change while it is answered."""
    languages = request.languages
    if not languages:
        parts = pattern_of(graph.study, evaluation).parts
        languages = [tag for tag in dict.fromkeys(tag for one in planned for tag in one) if tag in parts]
    amount = request.amount
    if amount is None:
        costs = request.costs
        amount = max(sum(n * costs.get(tag, 1.0) for tag, n in one.items()) for one in planned)
    return replace(request, evaluation=evaluation, languages=tuple(languages), amount=amount)


def _affordable(proposed: Sequence[NextRun], ask: Ask, cost: RunCost, *, num_runs: int, hours: float) -> list[NextRun]:
    """The first proposals that the limits allow."""
    limits = ask.limits
    chosen: list[NextRun] = []
    for one in proposed:
        hours += cost.hours(one.amounts)
        if limits.runs is not None and num_runs + len(chosen) >= limits.runs:
            break
        if limits.gpu_hours is not None and hours > limits.gpu_hours:
            break
        chosen.append(one)
    return chosen


def _explored(store: Store, question: str, planned: Mapping[str, Amounts]) -> list[str]:
    """The runs that the journal lists for a question, as far as the study still has them."""
    listed = (one.run for entry in read_entries(store) if entry.question == question for one in entry.batch)
    return [run for run in dict.fromkeys(listed) if run in planned]


def _question(request: RecommendationRequest, advice: Advice) -> str:
    """Fingerprint of what is asked, without how sure the answer must be and what it may cost."""
    return fingerprint(
        {
            "evaluation": advice.evaluation,
            "model": advice.model,
            "amount": request.amount,
            "unit": request.unit,
            "languages": sorted(request.languages),
            "costs": dict(sorted(request.costs.items())),
            "objective": request.objective,
            "weights": dict(sorted(request.weights.items())) if request.objective == "weighted" else {},
            "english_at_least": request.english_at_least,
        }
    )


def _in_words(advice: Advice) -> str:
    """The question for people."""
    objective = advice.objective
    floor = "" if objective.english_at_least is None else f", English at least {100 * objective.english_at_least:g}"
    return (
        f"{advice.model}, {advice.evaluation}, {objective.kind} over {len(objective.languages)} languages, "
        f"budget {advice.budget.amount:,.0f} {advice.unit}{floor}"
    )


def _name_of(amounts: Amounts, planned: Mapping[str, Amounts], graph: StepGraph) -> str:
    """Name of the study's mixture with these amounts; "" if it has none."""
    key = content_key(amounts)
    names = (graph.runs[run].mixture for run, one in planned.items() if content_key(one) == key)
    return next((one.name for one in names if one is not None), "")


def _undecided(advice: Advice) -> str:
    if advice.recommendation is not None:
        return ""
    return advice.undecided or f"fewer than {MIN_MIXTURES} mixtures are evaluated"
