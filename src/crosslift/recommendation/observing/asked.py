"""A question in the terms of a study: its names, its objective, and the languages that the study cannot tell of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from crosslift.errors import TransferError
from crosslift.languages.similarity import known
from crosslift.recommendation.objective import AnyObjective, JointObjective, Objective, cell_of
from crosslift.recommendation.observing.runs import chosen
from crosslift.recommendation.question import Question
from crosslift.transfer.model.observations import Amounts

if TYPE_CHECKING:
    from crosslift.studies.study import Study


def named(question: Question, study: Study, runs: pl.DataFrame) -> Question:
    """The question with its evaluations and model filled in.

    Args:
        question: what is asked.
        study: the study.
        runs: all runs of the study, with columns model and mixture.

    Raises:
        TransferError: the study does not have some of the names, or has several to choose from; all are listed.
    """
    models = list(dict.fromkeys(runs.filter(pl.col("mixture") != "base")["model"]))
    problems: list[str] = []

    def one_of(kind: str, wanted: str | None, names: Sequence[str]) -> str:
        try:
            return chosen(kind, wanted, list(names))
        except TransferError as error:
            problems.append(str(error))
            return ""

    evaluations = list(study.evaluations)
    weights = dict(question.evaluations)
    for name in weights:
        one_of("evaluation", name, evaluations)
    if not weights:
        weights = {one_of("evaluation", None, evaluations): 1.0}
    for floor in question.floors:
        if floor.evaluation is not None and floor.evaluation not in weights:
            problems.append(
                f"at-least {floor.name}: '{floor.evaluation}' is not an evaluation of the question. Those are: "
                f"{', '.join(weights)}."
            )
    model = one_of("model", question.model, models)
    if problems:
        raise TransferError("\n".join(problems))
    return replace(question, evaluations=weights, model=model)


def objective_of(question: Question, languages: Mapping[str, tuple[str, ...]]) -> AnyObjective:
    """The objective of a question.

    Args:
        question: what is asked, with names of evaluations.
        languages: evaluation -> the languages that it measures.

    Raises:
        TransferError: no measured language has a weight, or a language with a minimum score is not measured.
    """
    every = list(dict.fromkeys(tag for tags in languages.values() for tag in tags))
    weights = dict(question.weights)
    if question.objective == "weighted":
        weights = weights or {tag: float(facts.speakers) for tag, facts in known().items() if facts.speakers}
        if not all(any(weights.get(tag, 0.0) for tag in tags) for tags in languages.values()):
            raise TransferError(
                f"no evaluated language has a weight above 0. Evaluated are {', '.join(every)}. Change --weight"
            )
    problems = []
    for floor in question.floors:
        measured = languages[floor.evaluation] if floor.evaluation else every
        if floor.language not in measured:
            problems.append(
                f"at-least {floor.name}={floor.minimum:g}: no run is evaluated in {floor.language}, so that the bound "
                f"cannot be kept. Evaluated are {', '.join(measured)}."
            )
    if problems:
        raise TransferError("\n".join(problems))
    parts = {}
    for name, tags in languages.items():
        floors = {floor.language: floor.minimum for floor in question.floors if floor.evaluation is None}
        floors |= {floor.language: floor.minimum for floor in question.floors if floor.evaluation == name}
        parts[name] = Objective(
            languages=tags,
            kind=question.objective,
            weights=weights,
            at_least={tag: minimum for tag, minimum in floors.items() if tag in tags},
        )
    if len(parts) == 1:
        return next(iter(parts.values()))
    return JointObjective(parts=parts, part_weights=question.evaluations)


def untold_languages(question: Question, trained: Iterable[Amounts], measured: Iterable[str]) -> tuple[str, ...]:
    """Languages of the question that no run has trained on or measured.

    Args:
        question: what is asked.
        trained: amounts of the mixtures that are finished, or planned if none is.
        measured: evaluation languages, with or without their evaluation.
    """
    told = {tag for one in trained for tag, amount in one.items() if amount > 0}
    told |= {cell_of(label)[1] for label in measured}
    asked = dict.fromkeys(question.languages)
    if question.objective == "weighted":
        asked |= dict.fromkeys(tag for tag, weight in question.weights.items() if weight > 0)
    return tuple(tag for tag in asked if tag not in told)
