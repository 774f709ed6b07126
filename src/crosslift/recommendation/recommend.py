"""Choice of a mixture under a budget.

Scores of all candidates are drawn jointly from the posterior of a transfer model, so that probabilities are shares of
draws and the correlation between candidates is accounted for. The recommended mixture is compared with two baselines:
equal amounts of every language, and the best observed mixture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from crosslift.errors import TransferError
from crosslift.recommendation.feasibility import keeps_floors, margins_of, too_high, widest_margin
from crosslift.recommendation.joint import AnyModel
from crosslift.recommendation.objective import AnyObjective, Budget
from crosslift.recommendation.search import EQUIVALENCE_MARGIN, distinct, search_mixtures
from crosslift.streams import stream
from crosslift.transfer.model.observations import Amounts, Observations, content_key

Verdict = Literal["better", "as good", "worse", "cannot tell"]
"""Result of a comparison with a baseline."""
NUM_DRAWS = 4000
"""Posterior draws."""
MIN_MIXTURES = 2
"""Smallest number of observed mixtures for a recommendation."""
POINTS = 100.0
"""Points per unit of a score."""
EQUAL_SHARES, BEST_TRIED = "the same of every language", "the best mixture tried"
"""Names of the baselines."""


@dataclass(frozen=True, kw_only=True)
class BaselineComparison:
    """The recommended mixture minus a baseline: posterior mean and 95 % credible limits, in the unit of the scores."""

    name: str
    amounts: Amounts
    """Amounts per language of the baseline."""
    value: float
    low: float
    high: float
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """A mixture with its uncertainty. Limits are 95 % credible limits, in the unit of the scores."""

    amounts: dict[str, float]
    """Language -> amount."""
    expected_objective: float
    """Posterior mean of the objective."""
    low: float
    high: float
    expected_by_language: dict[str, float]
    """Evaluation language ("evaluation:language" with several evaluations) -> posterior mean of the score."""
    limits_by_language: dict[str, tuple[float, float]]
    """The same -> 95 % credible limits."""
    probability_best: float
    """Share of posterior draws in which no other candidate that keeps the minimum scores, whether or not its interval
    says something, is better by more than the margin that was asked for, by default EQUIVALENCE_MARGIN."""
    comparisons: tuple[BaselineComparison, ...]
    """Comparisons with the baselines."""
    alternatives: tuple[tuple[dict[str, float], float], ...]
    """The next best candidates and their expected objective."""
    caveats: tuple[str, ...]
    """What the recommendation is based on, and where it extrapolates."""
    observed: bool
    """Whether the model was trained on this mixture, so that it is recommended as it was measured."""

    @property
    def verdict(self) -> Verdict:
        """The least favourable verdict of the comparisons with the baselines."""
        order: tuple[Verdict, ...] = ("worse", "cannot tell", "as good", "better")
        return min((one.verdict for one in self.comparisons), key=order.index, default="cannot tell")


@dataclass(frozen=True, kw_only=True)
class Undecided:
    """No mixture can be recommended."""

    reason: str
    """Why the data cannot tell, as a sentence."""


def recommend(
    fitted: AnyModel,
    model: str,
    objective: AnyObjective,
    budget: Budget,
    *,
    candidates: Sequence[Amounts] | None = None,
    further: Sequence[Amounts] = (),
    margin: float = EQUIVALENCE_MARGIN,
    seed: int = 0,
) -> Recommendation | Undecided:
    """Choose the candidate with the highest posterior mean of the objective.

    Nothing is recommended where the data cannot tell: where all scores are within EQUIVALENCE_MARGIN of one end of the
    metric's range, and where the margin of every candidate (half the 95 % interval) is larger than the range of the
    objective over the observed runs and than WIDEST_MARGIN, both that of its objective and that of its difference from
    the mean of the candidates. A single candidate of which this holds is not considered.

    Args:
        fitted: the transfer model.
        model: name of the model to train; a model without observations is predicted from the others.
        objective: what is maximised.
        budget: constraints of a mixture.
        candidates: mixtures to choose from; by default found by a search over shares of the allowed languages. The
            observed mixtures that satisfy the budget are always among them.
        further: further candidates, such as mixtures that are planned.
        margin: `Recommendation.probability_best` counts candidates that are better by more than this.
        seed: of the search and of the posterior draws.

    Raises:
        TransferError: fewer than MIN_MIXTURES observed mixtures, or no candidate satisfies the budget or keeps the
            minimum scores.
    """
    observed = fitted.observed
    if (num := len(set(observed.mixtures))) < MIN_MIXTURES:
        raise TransferError(f"a recommendation needs runs of at least {MIN_MIXTURES} mixtures; there are {num}.")
    if (reason := _at_one_end(observed)) is not None:
        return Undecided(reason=reason)
    uniform = budget.allocate({tag: budget.costs.get(tag, 1.0) for tag in budget.languages})  # equal amounts
    tried = _best_tried(fitted, model, objective, budget)
    baselines = [(EQUAL_SHARES, uniform), *([] if tried is None else [(BEST_TRIED, tried)])]
    known = [observed.amounts[label] for label in sorted(set(observed.mixtures[observed.models == model]))]
    searched = search_mixtures(fitted, model, objective, budget, seed=seed) if candidates is None else candidates
    pool = {content_key(one): dict(one) for one in (uniform, *known, *further, *searched) if budget.allows(one)}
    if not pool:
        raise TransferError(
            f"no mixture satisfies the budget of {budget.amount:g} and the limits of the data. Raise the budget or "
            "allow more languages."
        )
    within = list(pool.values())
    draws = fitted.draw(within, model, objective.languages, NUM_DRAWS, stream(seed, "recommend", "draws"))
    values = objective.value(draws)
    lows, highs = np.quantile(values, [0.025, 0.975], axis=0)
    widest = widest_margin(observed, model, objective)
    margins = margins_of(values)
    informed = margins <= widest
    if not informed.any():
        return Undecided(
            reason=f"the 95 % intervals of all candidates are at least +- {POINTS * float(margins.min()):.0f} points, "
            f"which is more than the difference of {POINTS * widest:.0f} points that they would have to resolve"
        )
    keeping = keeps_floors(objective, draws)
    allowed = informed & keeping
    if not allowed.any():
        raise TransferError(too_high(objective, draws[:, informed]))
    means = np.where(allowed, values.mean(axis=0), -np.inf)
    best = int(means.argmax())
    order = [int(place) for place in np.argsort(-means) if place != best and np.isfinite(means[place])]
    places = {key: place for place, key in enumerate(pool)}
    comparisons = [
        _compare(name, within[place], values[:, best] - values[:, place])
        for name, one in baselines
        if (place := places.get(content_key(one))) is not None
    ]
    alternatives = distinct((within[place] for place in order), 3, apart_from=[within[best]])
    return Recommendation(
        amounts=within[best],
        expected_objective=float(values[:, best].mean()),
        low=float(lows[best]),
        high=float(highs[best]),
        expected_by_language=dict(zip(objective.languages, draws[:, best].mean(axis=0).tolist(), strict=True)),
        limits_by_language={
            tag: (float(low), float(high))
            for tag, (low, high) in zip(
                objective.languages, np.quantile(draws[:, best], [0.025, 0.975], axis=0).T, strict=True
            )
        },
        probability_best=float((values[:, best] >= values[:, keeping].max(axis=1) - margin).mean()),
        comparisons=tuple(comparisons),
        alternatives=tuple((one, float(means[places[content_key(one)]])) for one in alternatives),
        caveats=(
            *_caveats(fitted, model, within[best], objective),
            *_untold(float(values.mean(axis=0)[keeping & ~informed].max(initial=-np.inf)), float(means[best])),
        ),
        observed=content_key(within[best]) in {content_key(one) for one in known},
    )


def _untold(highest: float, chosen: float) -> list[str]:
    """What is said of candidates that are expected to be better but whose intervals say nothing."""
    if highest <= chosen + EQUIVALENCE_MARGIN:
        return []
    return [
        f"mixtures unlike those that were trained are expected to reach up to {POINTS * highest:.1f}, with intervals "
        "too wide to recommend them"
    ]


def _at_one_end(observed: Observations) -> str | None:
    """Why scores at the floor or ceiling of the metric cannot tell mixtures apart; None if they are elsewhere."""
    shares = observed.shares
    for end, gap in (("lowest", float(shares.max())), ("highest", 1 - float(shares.min()))):
        if gap < EQUIVALENCE_MARGIN:
            return f"all scores are within {POINTS * EQUIVALENCE_MARGIN:g} points of the {end} possible score"
    return None


def _compare(name: str, amounts: Amounts, difference: np.ndarray) -> BaselineComparison:
    low, high = np.quantile(difference, [0.025, 0.975])
    verdict: Verdict = "cannot tell"
    if low > 0:
        verdict = "better"
    elif low >= -EQUIVALENCE_MARGIN and high <= EQUIVALENCE_MARGIN:
        verdict = "as good"
    elif high < 0:
        verdict = "worse"
    return BaselineComparison(
        name=name, amounts=amounts, value=float(difference.mean()), low=float(low), high=float(high), verdict=verdict
    )


def _best_tried(fitted: AnyModel, model: str, objective: AnyObjective, budget: Budget) -> Amounts | None:
    """The feasible observed mixture with the highest objective of its observed mean scores."""
    observed = fitted.observed
    best: tuple[float, Amounts] | None = None
    for mixture in sorted(set(observed.mixtures[observed.models == model])):
        amounts = observed.amounts[mixture]
        rows = np.flatnonzero((observed.models == model) & (observed.mixtures == mixture))
        scores = [observed.values[rows[observed.languages[rows] == tag]] for tag in objective.languages]
        if not budget.allows(amounts) or any(len(values) == 0 for values in scores):
            continue
        value = float(objective.value(np.array([values.mean() for values in scores])))
        if best is None or value > best[0]:
            best = value, amounts
    return None if best is None else best[1]


def _caveats(fitted: AnyModel, model: str, amounts: Amounts, objective: AnyObjective) -> list[str]:
    """What the recommendation is based on, and where it extrapolates."""
    observed = fitted.observed
    here = sorted(set(observed.mixtures[observed.models == model]))
    tried = [observed.amounts[mixture] for mixture in here]
    caveats = [f"{len(here)} mixtures of {model} were observed"]
    if not here:
        caveats = [f"nothing was observed of {model}: all is told from {', '.join(sorted(set(observed.models)))}"]
        tried = [observed.amounts[mixture] for mixture in sorted(set(observed.mixtures))]
        model = "any model"
    if content_key(amounts) in {content_key(one) for one in tried}:
        caveats.append("this mixture was trained: it is recommended as it was measured")
    for tag, amount in amounts.items():
        most = max((one.get(tag, 0.0) for one in tried), default=0.0)
        if most == 0:
            caveats.append(f"no mixture of {model} has held {tag}: what it brings is told from languages like it")
        elif amount > 1.5 * most:
            caveats.append(f"{tag} goes beyond what was tried ({amount:,.0f} against {most:,.0f}): extrapolated")
    unseen = [tag for tag in objective.languages if not (observed.languages == tag).any()]
    if unseen:
        caveats.append(f"{', '.join(unseen)} was never evaluated: told from languages like it")
    return caveats
