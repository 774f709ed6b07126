"""From the finished runs of a study to a recommended mixture, its uncertainty, and the next runs to train."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from crosslift.corpora.corpus import Source
from crosslift.errors import TransferError
from crosslift.recommendation.acquisition import Exploring, NextRun, propose_runs
from crosslift.recommendation.explaining.explanation import Explanation, explain
from crosslift.recommendation.explaining.pilots import Pilot, pilot_for
from crosslift.recommendation.joint import AnyModel, JointModel
from crosslift.recommendation.limits import MOST_BEYOND, held_amounts, limited_budget, tokens_per_item, unit_costs
from crosslift.recommendation.objective import AnyObjective, Budget
from crosslift.recommendation.observing.asked import named, objective_of, untold_languages
from crosslift.recommendation.observing.further_studies import FurtherStudy, further_caveat, pooled_observations
from crosslift.recommendation.observing.runs import observe
from crosslift.recommendation.pattern import Pattern, pattern_of
from crosslift.recommendation.question import Question, Unit
from crosslift.recommendation.recommend import MIN_MIXTURES, Recommendation, Undecided, recommend
from crosslift.recommendation.search import EQUIVALENCE_MARGIN
from crosslift.transfer.estimates.language_groups import ENGLISH
from crosslift.transfer.model.cross_validation import MIN_GROUPS, CrossValidation, cross_validate
from crosslift.transfer.model.gaussian_process import fit_transfer_model
from crosslift.transfer.model.observations import Amounts, Observations

if TYPE_CHECKING:
    from crosslift.execution.folder.store import Store
    from crosslift.studies.study import Study

MIN_EXPECTED_GAIN = 0.0005
"""Knowledge gradient, as a share, below which a run is not worth its cost."""


@dataclass(frozen=True, kw_only=True)
class Advice:
    """A recommendation with its inputs, its validation and the next runs."""

    question: Question
    """What was asked, with the names of evaluations and of the model filled in."""
    budget: Budget
    """The budget with the limits of the data."""
    pattern: Pattern
    """How the mixtures of the study are built."""
    objective: AnyObjective
    fitted: AnyModel = field(repr=False)
    """The transfer model, fitted to all finished runs."""
    recommendation: Recommendation | None
    """None if fewer than two mixtures are finished or the data cannot tell; then there are only next runs."""
    undecided: str
    """Why the data cannot tell; "" if they can, or if fewer than two mixtures are finished."""
    untold: tuple[str, ...]
    """Languages of the question that no run has trained on or measured; they are not in the recommended mixture."""
    held: Mapping[str, float]
    """Language -> largest amount that the corpora hold."""
    limits: tuple[str, ...]
    """Sentences on the limits of the data that keep the budget from being spent."""
    validations: Mapping[str, CrossValidation]
    """Evaluation -> cross-validation of its transfer model; missing if there are too few mixtures."""
    next_runs: list[NextRun]
    runs: list[str]
    """Names of the model's observed runs."""
    source: Source
    """The first corpus of the pattern, of which a pilot is made."""
    model_path: str
    """Hub name or folder of the model to train, as the study file names it."""
    folder: Path = field(repr=False)
    """Folder of the study, to which paths in commands are relative."""

    @property
    def model(self) -> str:
        """Name of the model to train."""
        assert self.question.model is not None
        return self.question.model

    @property
    def unit(self) -> Unit:
        """Unit of the amounts."""
        return self.question.unit

    @property
    def evaluation(self) -> str:
        """Name of the evaluation; several are joined by " + "."""
        return " + ".join(self.question.evaluations)

    @property
    def validation(self) -> CrossValidation | None:
        """Cross-validation of the transfer model; of the first evaluation, if there are several."""
        return next(iter(self.validations.values()), None)

    @property
    def worthwhile_runs(self) -> list[NextRun]:
        """Next runs with an expected gain of at least MIN_EXPECTED_GAIN, and next runs that the study plans."""
        return [one for one in self.next_runs if one.run or one.expected_gain >= MIN_EXPECTED_GAIN]

    @property
    def to_translate(self) -> dict[str, float]:
        """Language -> amount of the recommended mixture that the corpora do not hold yet."""
        if self.recommendation is None:
            return {}
        missing = {tag: amount - self.held.get(tag, 0.0) for tag, amount in self.recommendation.amounts.items()}
        return {tag: amount for tag, amount in missing.items() if amount > 0}

    def pilot_data(self, languages: Iterable[str]) -> str:
        """Options of `crosslift pilot` that name the model, the data and these languages, English first."""
        tags = sorted(languages, key=lambda tag: tag != ENGLISH)
        there = [tag for tag in tags if tag in self.source.languages]
        path = self.source.path
        if path is not None and path.is_relative_to(self.folder):
            path = path.relative_to(self.folder)
        return (
            f"--model {self.model_path} --reader {self.source.reader} --task {self.source.task}"
            + ("" if path is None else f" --data {path if not path.is_absolute() else path.name}")
            + f" --data-languages {','.join(there)} --languages {','.join(tags)}"
        )

    @cached_property
    def explanation(self) -> Explanation | None:
        """Why this mixture, what would change it, and its trade-offs; None without a recommendation. Takes seconds."""
        if self.recommendation is None:
            return None
        return explain(self.fitted, self.model, self.objective, self.budget, self.recommendation)

    @cached_property
    def pilots(self) -> tuple[Pilot, ...]:
        """For each language that no run has trained on or measured, the cheapest pilot that would tell."""
        base = None if self.recommendation is None else self.recommendation.amounts
        return tuple(
            pilot_for(self.fitted, self.model, self.objective, self.budget, tag, base=base) for tag in self.untold
        )


def advise(
    store: Store,
    study: Study,
    question: Question,
    *,
    num_next_runs: int = 0,
    others: Sequence[FurtherStudy] = (),
    exploring: Exploring | None = None,
) -> Advice:
    """Fit the transfer model to the finished runs, validate it, and recommend a mixture and next runs.

    Args:
        store: the folder of the study.
        study: the study.
        question: what is asked.
        num_next_runs: number of next runs to propose.
        others: further studies and imports to learn from, with the same evaluations.
        exploring: what an exploration adds to the question.

    Raises:
        TransferError: the evaluation has no trained run, too few mixtures are finished and no next runs are requested,
            no mixture satisfies the constraints, or the question contains a name that the study does not have.
        StoreError: the study has not been prepared.
    """
    question = named(question, study, store.runs())
    names = list(question.evaluations)
    model = question.model or ""
    seen = {name: observe(store, study, evaluation=name, unit=question.unit, together_with=names) for name in names}
    planned = seen[names[0]].planned
    observations: dict[str, Observations] = {}
    informing: dict[str, Observations] = {}
    for name, own in seen.items():
        further = [(other.label, other.read(name, own.metric, question.unit)) for other in others]
        observations[name] = pooled_observations(own.observations, further)
        informing |= dict(further)
    every = {
        row["run"]: dict(zip(row["languages"], map(float, row["amounts"]), strict=True))
        for row in planned.iter_rows(named=True)
    }
    objective = objective_of(
        question,
        {
            name: tuple(sorted(set(own.cells["language"]))) or tuple(study.evaluations[name].languages)
            for name, own in seen.items()
        },
    )
    parts = {name: fit_transfer_model(observed) for name, observed in observations.items()}
    fitted = parts[names[0]] if len(parts) == 1 else JointModel(parts=parts)
    observed = fitted.observed
    pattern = pattern_of(study, *names)
    lengths = tokens_per_item(store.runs(), model)
    tried = list(observed.amounts.values()) or list(every.values())
    untold = untold_languages(question, tried, objective.languages)
    if exploring is not None:
        tried = [*observed.amounts.values(), *every.values()]
        untold = tuple(tag for tag in untold if tag not in pattern.parts)
    num_items = {name: record["num_items"] for name, record in store.lock()["corpora"].items()}
    candidates = [tag for tag in question.languages if tag not in untold]
    budget = limited_budget(
        amount=question.budget,
        languages=candidates,
        costs=unit_costs(question, [*candidates, *pattern.parts], lengths),
        existing=question.existing,
        fixed_costs={tag: cost.fixed for tag, cost in question.costs.items() if cost.fixed},
        translatable=question.translatable,
        tried=tried,
        pattern=pattern if question.translatable is None else pattern.including(candidates),
        num_items=num_items,
        tokens_per_item=None if question.unit == "items" else lengths,
    )
    own_runs = set.intersection(*(set(own.observations.runs.tolist()) for own in seen.values()))
    waiting = {run: every[run] for run in planned.filter(model=model)["run"] if run not in own_runs}
    num_mixtures = len(set(observed.mixtures))
    if num_mixtures < MIN_MIXTURES and not num_next_runs:
        raise TransferError(
            f"{num_mixtures} mixtures are evaluated with '{' + '.join(names)}'; a recommendation needs {MIN_MIXTURES}. "
            "Run more: crosslift run, or list the runs to start with: crosslift recommend --next 4"
        )
    found: Recommendation | Undecided | None = None
    if question.languages and not candidates:
        found = Undecided(reason=f"no run has trained on or measured {', '.join(untold)}")
    elif num_mixtures >= MIN_MIXTURES:
        found = recommend(
            fitted,
            model,
            objective,
            budget,
            further=[] if exploring is None else list(waiting.values()),
            margin=EQUIVALENCE_MARGIN if exploring is None else exploring.margin,
        )
    recommendation = found if isinstance(found, Recommendation) else None
    if recommendation is not None and informing:
        told = (further_caveat(*one) for one in informing.items())
        recommendation = replace(recommendation, caveats=(*recommendation.caveats, *told))
    return Advice(
        question=question,
        budget=budget,
        pattern=pattern if question.translatable is None else pattern.including(candidates),
        objective=objective,
        fitted=fitted,
        recommendation=recommendation,
        undecided=found.reason if isinstance(found, Undecided) else "",
        untold=untold,
        held=held_amounts(pattern, num_items, None if question.unit == "items" else lengths),
        limits=_limits(budget, recommendation),
        validations={
            name: cross_validate(one) for name, one in observations.items() if len(set(one.mixtures)) >= MIN_GROUPS
        },
        next_runs=propose_runs(
            fitted,
            model,
            objective,
            budget,
            leaders=[] if recommendation is None else _leaders(recommendation),
            waiting=waiting,
            num_runs=num_next_runs,
            exploring=exploring,
        ),
        runs=sorted(set(observed.runs[observed.models == model])),
        source=study.corpora[pattern.corpora[0]],
        model_path=study.models[model].path,
        folder=study.folder,
    )


def _leaders(found: Recommendation) -> list[Amounts]:
    """The mixtures that a recommendation names."""
    return [found.amounts, *(one for one, _ in found.alternatives), *(one.amounts for one in found.comparisons)]


def _limits(budget: Budget, found: Recommendation | None) -> tuple[str, ...]:
    """A sentence if the limits of the data leave a tenth of the budget or more unspent."""
    if found is None or (spent := budget.cost_of(found.amounts)) >= 0.9 * budget.amount:
        return ()
    return (
        f"{spent:,.0f} of the budget is spent: a mixture has no more items than the corpora hold, and at most "
        f"{MOST_BEYOND:g} times what was tried",
    )
