"""Observations of further studies, from which the transfer model learns too.

The study is a level: each model of a further study is a level of its own, `qwen (study-b)`, so that levels, and the
differences between responses, are estimated per study and model, and only the response to the amounts, the mixtures of
equal amounts and the noise are shared. A study with a longer training or an easier prompt thus shifts nothing in the
recommendation for the first study, and its mixtures still inform it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from crosslift.recommendation.question import Unit
from crosslift.transfer.model.observations import Amounts, Observations


@dataclass(frozen=True, kw_only=True)
class FurtherStudy:
    """A study, or imported results, that are learnt from, but for which nothing is recommended."""

    label: str
    """Unique among the studies."""
    read: Callable[[str, str, Unit], Observations]
    """(evaluation, metric, unit of amounts) -> its observations."""


def pooled_observations(first: Observations, others: Sequence[tuple[str, Observations]]) -> Observations:
    """Combine observations of several studies.

    Args:
        first: of the study that the recommendation is for; its names are kept.
        others: (label, observations) of further studies with the same evaluation and metric.

    Returns:
        All observations; `first` itself if there are no others. Models and runs of further studies have the study's
        label in their names; mixtures with equal amounts have one label.
    """
    if not others:
        return first
    amounts = dict(first.amounts)
    labels = {_key(one): label for label, one in amounts.items()}
    mixtures, models, runs = [first.mixtures], [first.models], [first.runs]
    sizes, fertility = dict(first.sizes), dict(first.fertility)
    for study, one in others:
        renamed = {}
        for label, amount in one.amounts.items():
            renamed[label] = labels.setdefault(_key(amount), f"{label} ({study})")
            amounts.setdefault(renamed[label], amount)
        mixtures.append(np.array([renamed[label] for label in one.mixtures], dtype=str))
        models.append(np.array([f"{model} ({study})" for model in one.models], dtype=str))
        runs.append(np.array([f"{run} ({study})" for run in one.runs], dtype=str))
        sizes |= {f"{model} ({study})": size for model, size in one.sizes.items()}
        fertility |= {(f"{model} ({study})", tag): value for (model, tag), value in one.fertility.items()}
    every = [first, *(one for _, one in others)]
    return Observations(
        values=np.concatenate([one.values for one in every]),
        runs=np.concatenate(runs),
        models=np.concatenate(models),
        languages=np.concatenate([one.languages for one in every]),
        mixtures=np.concatenate(mixtures),
        amounts=amounts,
        sizes=sizes,
        fertility=fertility,
        num_effective=np.concatenate([one.items for one in every]),
        low=first.low,
        high=first.high,
        amount_unit=first.amount_unit,
    )


def further_caveat(study: str, observed: Observations) -> str:
    """Say what a further study contributes."""
    return f"{len(set(observed.runs))} runs of {study} inform the response to amounts, with a level of their own"


def _key(amounts: Amounts) -> tuple[tuple[str, float], ...]:
    return tuple(sorted((tag, float(amount)) for tag, amount in amounts.items() if amount))
