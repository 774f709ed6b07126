"""One decision of an exploration: what is believed now, whether it suffices, and which runs come next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.store import Store
from crosslift.exploring.cost import RunCost, measured_hours, run_cost
from crosslift.exploring.goal import Certainty, Limits
from crosslift.exploring.journal import Entry, next_number, read_entries
from crosslift.fingerprint import fingerprint
from crosslift.recommendation.acquisition import Exploring, NextRun
from crosslift.recommendation.advice import Advice, advise
from crosslift.recommendation.observing.asked import named
from crosslift.recommendation.observing.runs import observe
from crosslift.recommendation.question import Question
from crosslift.recommendation.recommend import MIN_MIXTURES, POINTS
from crosslift.system.leases import lease_holder
from crosslift.transfer.model.observations import Amounts, content_key

DIGITS = 6
"""Decimals of the numbers in the journal, so that equal results give equal entries on any machine."""


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What an exploration is asked."""

    question: Question
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
    question = named(ask.question, graph.study, store.runs())
    first, *others = question.evaluations
    planned = observe(store, graph.study, evaluation=first, unit=question.unit, together_with=others).planned
    here: dict[str, Amounts] = {
        row["run"]: dict(zip(row["languages"], map(float, row["amounts"]), strict=True))
        for row in planned.filter(model=question.model).iter_rows(named=True)
    }
    states = graph.states([graph.runs[run] for run in here])
    running = [run for run in here if not states[run].done and lease_holder(store.run_folder(run)) is not None]
    failed = {run for run in here if store.error(run) is not None and run not in running}
    assert question.model is not None
    cost = run_cost(graph, question.model, here, unit=question.unit)
    by_hours = ask.limits.gpu_hours is not None and min(map(cost.hours, here.values()), default=0.0) > 0
    exploring = Exploring(
        margin=ask.certainty.margin, running=running, excluded=failed, hours=cost.hours if by_hours else None
    )
    advice = advise(store, graph.study, question, num_next_runs=ask.batch_size, exploring=exploring)
    key = _fingerprint(advice)
    explored = _explored(store, key, here)
    unfinished = tuple(run for run in explored if not states[run].done and run not in failed)
    hours = measured_hours(store, explored)
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
        question=key,
        model=advice.model,
        num_finished=sum(states[run].done for run in here),
        num_explored=len(explored),
        hours=round(hours, 6),
        amounts={} if found is None else found.amounts,
        mixture="" if found is None else _name_of(found.amounts, here, graph),
        expected=None if found is None else round(found.expected_objective, DIGITS),
        low=None if found is None else round(found.low, DIGITS),
        high=None if found is None else round(found.high, DIGITS),
        probability=None if found is None else round(found.probability_best, DIGITS),
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


def _fingerprint(advice: Advice) -> str:
    """Fingerprint of what is asked, without how sure the answer must be and what it may cost."""
    question = replace(advice.question, budget=advice.budget.amount)
    return fingerprint({name: repr(value) for name, value in asdict(question).items()})


def _in_words(advice: Advice) -> str:
    """The question for people."""
    question = advice.question
    floors = "".join(f", {floor.name} at least {POINTS * floor.minimum:g}" for floor in question.floors)
    return (
        f"{advice.model}, {advice.evaluation}, {question.objective} over languages, budget "
        f"{advice.budget.amount:,.0f} {advice.unit}{floors}"
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
