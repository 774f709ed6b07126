"""Rehearsal: the whole study in minutes, with every run reduced to a few steps, items and tokens.

A rehearsal tests whether a study will complete (models load, templates are valid, memory suffices) before it uses a
cluster. It is an option of the site file, not of the study file, and writes to the separate folder `rehearsal/`, so
that its output cannot be mistaken for results.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from crosslift.mixtures.mixture import Mixture
from crosslift.studies.evaluation import Evaluation
from crosslift.studies.study import Study

FOLDER = "rehearsal"
TOKENS_PER_ITEM = 100
"""Budget per item of a rehearsal, for budgets in tokens or bytes. A few items suffice to fill it."""


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """Size of a rehearsal."""

    steps: int = 3
    """Training steps. Validation follows each step, so that checkpoint selection is tested too."""
    items: int = 8
    """Items of each corpus, and of each language in a mixture."""
    tokens: int = 16
    """Generated tokens per answer."""


def rehearse(study: Study, cut: Rehearsal) -> Study:
    """Reduce a study to a rehearsal with the same models, runs, tasks and languages.

    Args:
        study: The study.
        cut: Size of the rehearsal.

    Returns:
        The reduced study, which writes to the folder `rehearsal/`.
    """
    validation = study.validation and replace(
        study.validation, max_items=min(study.validation.max_items or cut.items, cut.items)
    )
    return replace(
        study,
        name=f"{study.name}-rehearsal",
        question=f"A rehearsal of {cut.steps} steps, whose numbers mean nothing. {study.question}".strip(),
        results=study.folder / FOLDER,
        corpora={
            name: replace(source, max_items=min(source.max_items or cut.items, cut.items))
            for name, source in study.corpora.items()
        },
        mixtures={name: _cut(mixture, cut) for name, mixture in study.mixtures.items()},
        training=replace(
            study.training,
            epochs=None,
            steps=cut.steps,
            validate_every=None if validation is None else 1e-9,  # after each step
            validate_every_steps=None,
        ),
        validation=validation,
        evaluations={name: _fewer(one, cut) for name, one in study.evaluations.items()},
    )


def _fewer(evaluation: Evaluation, cut: Rehearsal) -> Evaluation:
    shots = evaluation.shots and replace(evaluation.shots, number=min(evaluation.shots.number, cut.items))
    return replace(evaluation, max_tokens=min(evaluation.max_tokens, cut.tokens), shots=shots)


def _cut(mixture: Mixture, cut: Rehearsal) -> Mixture:
    """Reduce the amounts of a mixture to the size of the reduced corpora, and allow repetition. Stages are left out."""
    each = cut.items if mixture.unit == "items" else cut.items * TOKENS_PER_ITEM
    components = tuple(
        replace(part, different=None)
        if part.counts is None
        else replace(part, counts={tag: min(n, each) for tag, n in part.counts.items()}, different=None)
        for part in mixture.components
    )
    budget = mixture.budget
    if budget is not None:
        amount = sum(sum((part.counts or {}).values()) for part in components)
        budget = replace(budget, amount=amount or min(budget.amount, each * len(mixture.languages)))
    return replace(mixture, components=components, budget=budget, repeat=True, stages=())
