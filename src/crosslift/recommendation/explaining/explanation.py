"""Why a mixture is recommended and what would change that: contributions, changed constraints, trade-offs."""

from __future__ import annotations

from dataclasses import dataclass

from crosslift.recommendation.explaining.candidates import drawn_together
from crosslift.recommendation.explaining.contributions import Contribution, contributions
from crosslift.recommendation.explaining.front import Front, axes_of, front_of, scalarised
from crosslift.recommendation.explaining.sensitivity import NUM_KEPT, ROUNDS, Change, change_of, searched, variations
from crosslift.recommendation.joint import AnyModel
from crosslift.recommendation.objective import AnyObjective, Budget
from crosslift.recommendation.recommend import Recommendation
from crosslift.recommendation.search import search_mixtures


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Why a mixture is recommended and what would change that."""

    contributions: tuple[Contribution, ...]
    """What each language of the mixture contributes."""
    changes: tuple[Change, ...]
    """What would be recommended if one constraint were different."""
    front: Front | None
    """Trade-offs of two objectives; None if there is only one."""


def explain(
    fitted: AnyModel, model: str, objective: AnyObjective, budget: Budget, found: Recommendation, *, seed: int = 0
) -> Explanation:
    """Explain a recommendation.

    Args:
        fitted: the transfer model.
        model: name of the model to train.
        objective: what is maximised.
        budget: constraints of a mixture.
        found: the recommendation.
        seed: of searches and draws.
    """
    asked = list(variations(objective, budget, found.amounts))
    axes = axes_of(objective)
    pool = [found.amounts, *(one.amounts for one in found.comparisons), *(one for one, _ in found.alternatives)]
    for one in asked:
        pool += searched(fitted, model, one, found.amounts, seed=seed)
    for one_objective in () if axes is None else scalarised(objective, axes):
        pool += search_mixtures(fitted, model, one_objective, budget, seed=seed, rounds=ROUNDS)[:NUM_KEPT]
    candidates = drawn_together(fitted, model, objective, pool, seed=seed)
    return Explanation(
        contributions=contributions(fitted, model, objective, found.amounts, seed=seed),
        changes=tuple(change_of(one, candidates, objective) for one in asked),
        front=None if axes is None else front_of(axes, candidates, objective, budget),
    )
