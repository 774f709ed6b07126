"""A rehearsal: the whole study in minutes, every run cut to a few steps, items and tokens.

It answers whether a study will run through (do all models load, are templates and memory right, is anything missing?)
before a cluster is paid for. It is an option of the site and not of the study, and what it leaves behind lies apart, in
`rehearsal/`, so that nothing of it can be taken for a result.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from crosslift.mixtures.mixture import Mixture
from crosslift.studies.study import Evaluation, Study

FOLDER = "rehearsal"
TOKENS_PER_ITEM = 100
"""For budgets in tokens or bytes: so little that a handful of items fills it."""


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """How much of the study is left."""

    steps: int = 3
    """Of training, each of which is validated, so that a checkpoint is selected."""
    items: int = 8
    """Of each corpus, and of each language in a mixture."""
    tokens: int = 16
    """Generated per answer."""


def rehearse(study: Study, cut: Rehearsal) -> Study:
    """The same models, runs, tasks and languages with as little of everything as goes."""
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
        ),
        validation=validation,
        evaluations={name: _fewer(one, cut) for name, one in study.evaluations.items()},
    )


def _fewer(evaluation: Evaluation, cut: Rehearsal) -> Evaluation:
    shots = evaluation.shots and replace(evaluation.shots, number=min(evaluation.shots.number, cut.items))
    return replace(evaluation, max_tokens=min(evaluation.max_tokens, cut.tokens), shots=shots)


def _cut(mixture: Mixture, cut: Rehearsal) -> Mixture:
    """Amounts down to what the cut corpora hold; repeated where even that is too much."""
    each = cut.items if mixture.unit == "items" else cut.items * TOKENS_PER_ITEM
    components = tuple(
        part if part.counts is None else replace(part, counts={tag: min(n, each) for tag, n in part.counts.items()})
        for part in mixture.components
    )
    budget = mixture.budget
    if budget is not None:
        amount = sum(sum((part.counts or {}).values()) for part in components)
        budget = replace(budget, amount=amount or min(budget.amount, each * len(mixture.languages)))
    return replace(mixture, components=components, budget=budget, repeat=True)
