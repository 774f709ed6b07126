"""The choice of a mixture: one of the study by its name, or a recommended one."""

from __future__ import annotations

from dataclasses import dataclass

from crosslift.errors import TransferError, UnknownName, did_you_mean
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.final.expected import Expectation, measured, predicted
from crosslift.mixtures.mixture import Budget, Component, Mixture
from crosslift.recommendation.advice import Advice
from crosslift.studies.run import Model

RECOMMENDED = "recommended"
POINTS = 100.0
"""Points per unit of a score."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A mixture to train, of any size, and why it was chosen."""

    mixture: Mixture
    model: Model
    reason: str
    """How the mixture was chosen, in whole sentences."""
    expectation: Expectation | None
    """None if there are no finished runs to expect scores from."""


def named(graph: StepGraph, name: str, *, model: str | None = None) -> Choice:
    """Choose a mixture of the study.

    Args:
        graph: the steps of the study, which must be prepared.
        name: the mixture.
        model: the model; None if the study has only one.

    Returns:
        The choice.

    Raises:
        UnknownName: there is no such mixture or model, or the study has several models.
    """
    study = graph.study
    if name not in study.mixtures:
        raise UnknownName(
            f"'{name}' is not a mixture.{did_you_mean(name, study.mixtures)} Known: {', '.join(study.mixtures)}."
        )
    chosen = _model(graph, model)
    return Choice(
        mixture=study.mixtures[name],
        model=chosen,
        reason=f"The mixture {name} of the study was chosen by name.",
        expectation=measured(graph, chosen.name, name),
    )


def recommended(graph: StepGraph, advice: Advice) -> Choice:
    """Choose the recommended mixture: its shares, with the corpora, pairing and order of the study's mixtures.

    Args:
        graph: the steps of the study, which must be prepared.
        advice: the recommendation.

    Returns:
        The choice.

    Raises:
        TransferError: the finished runs cannot tell which mixture is best.
    """
    found = advice.recommendation
    remedy = (
        f"See: crosslift recommend {graph.study.folder.name}. To train a mixture all the same, choose it with --mixture"
    )
    if found is None:
        raise TransferError(
            f"The finished runs cannot tell which mixture is best for {advice.model}, so none is recommended"
            + (f": {advice.undecided}. " if advice.undecided else ". ")
            + remedy
        )
    if found.verdict in ("cannot tell", "worse"):
        against = next(one for one in found.comparisons if one.verdict == found.verdict)
        raise TransferError(
            f"The finished runs cannot tell whether the best mixture for {advice.model} is better than {against.name}: "
            f"the difference is {POINTS * against.value:+.1f} points [{POINTS * against.low:.1f}, "
            f"{POINTS * against.high:.1f}]. {remedy}"
        )
    verdicts = "; ".join(
        f"{POINTS * one.value:+.1f} points [{POINTS * one.low:.1f}, {POINTS * one.high:.1f}] against {one.name} "
        f"({one.verdict})"
        for one in found.comparisons
    )
    reason = (
        f"Recommended by crosslift from {len(advice.runs)} finished runs: the highest expected {advice.objective.kind} "
        f"score over {len(advice.objective.languages)} languages of the evaluation {advice.evaluation}, "
        f"{POINTS * found.expected_objective:.1f} points [{POINTS * found.low:.1f}, {POINTS * found.high:.1f}]"
        + (f"; {verdicts}." if verdicts else ".")
    )
    if found.caveats:
        reason += " " + ". ".join(one[:1].upper() + one[1:].rstrip(".") for one in found.caveats) + "."
    return Choice(
        mixture=_like_the_study(graph, advice),
        model=graph.study.models[advice.model],
        reason=reason,
        expectation=predicted(graph, advice),
    )


def _model(graph: StepGraph, name: str | None) -> Model:
    models = graph.study.models
    if name is None:
        if len(models) > 1:
            raise UnknownName(f"The study has several models. Choose one: --model {' or '.join(models)}.")
        return next(iter(models.values()))
    if name not in models:
        raise UnknownName(f"'{name}' is not a model.{did_you_mean(name, models)} Known: {', '.join(models)}.")
    return models[name]


def _like_the_study(graph: StepGraph, advice: Advice) -> Mixture:
    """Build a mixture with the recommended shares as most mixtures of the study are built that train on the task.

    The amount of a language is divided between the corpora as in those mixtures together; a language that none of them
    has, as all their languages together.
    """
    pattern = advice.pattern
    assert advice.recommendation is not None
    amounts = {tag: amount for tag, amount in advice.recommendation.amounts.items() if round(amount) > 0}
    total = sum(amounts.values())
    shares: dict[str, dict[str, float]] = {corpus: {} for corpus in pattern.corpora}
    for tag, amount in amounts.items():
        for corpus, part in pattern.parts[tag].items():
            shares[corpus][tag] = amount / total * part
    return Mixture(
        name=RECOMMENDED,
        components=tuple(Component(corpus=corpus, shares=one) for corpus, one in shares.items() if one),
        pairing=pattern.pairing,
        budget=Budget(amount=round(total)),
        order=pattern.order,
        repeat=pattern.repeat,
    )
