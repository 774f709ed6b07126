"""Acquisition function: the runs that are expected to improve the choice of a mixture most."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri
from scipy.stats import qmc

from crosslift.recommendation.joint import AnyModel
from crosslift.recommendation.objective import AnyObjective, Budget
from crosslift.recommendation.search import distinct, random_mixtures
from crosslift.transfer.model.observations import UNKNOWN_ITEMS, Amounts, content_key

NUM_QUANTILES = 64
"""Outcomes of the first run of a batch, the quantiles of its predictive distribution."""
NUM_FANTASIES = 128
"""Joint outcomes of the runs of a batch, from a Sobol sequence."""
NUM_RANDOM_MIXTURES = 60
"""Random mixtures among the candidates for the next run, in addition to the leading ones."""


@dataclass(frozen=True, kw_only=True)
class Exploring:
    """What an exploration adds to a question: planned mixtures count as tried and are candidates too, and next runs
    are new ones where too few are planned."""

    margin: float
    """See `recommend.recommend`."""
    running: Collection[str] = ()
    """Names of planned runs in progress: they are not proposed, and their outcomes are taken into account."""
    excluded: Collection[str] = ()
    """Names of further planned runs that are not proposed."""
    hours: Callable[[Amounts], float] | None = None
    """Expected duration of a run, if runs are selected by what they add per hour."""


@dataclass(frozen=True, kw_only=True)
class NextRun:
    """A proposed run."""

    amounts: dict[str, float]
    """Language -> amount."""
    expected_gain: float
    """Knowledge gradient: expected improvement of the choice, in the unit of the objective."""
    run: str | None
    """Name of the run if the study plans it, else None."""


def propose_runs(
    fitted: AnyModel,
    model: str,
    objective: AnyObjective,
    budget: Budget,
    *,
    leaders: Sequence[Amounts],
    waiting: Mapping[str, Amounts],
    num_runs: int,
    exploring: Exploring | None = None,
) -> list[NextRun]:
    """The most informative runs: unfinished runs of the study, by name; if there are none, leading and random mixtures.

    They differ from each other and from the mixtures that the model was trained on.

    Args:
        fitted: the transfer model.
        model: name of the model that is trained.
        objective: what is maximised.
        budget: constraints of a mixture.
        leaders: the mixtures that are expected to be best.
        waiting: planned run of the model that is not finished -> its amounts.
        num_runs: runs to propose.
        exploring: what an exploration adds.
    """
    if num_runs < 1:
        return []
    observed = fitted.observed
    known = [observed.amounts[label] for label in sorted(set(observed.mixtures[observed.models == model]))]
    running, excluded = (exploring.running, exploring.excluded) if exploring is not None else ((), ())
    pending = [waiting[run] for run in running if run in waiting]
    hours = None if exploring is None else exploring.hours
    names: dict[tuple[tuple[str, int], ...], str] = {}
    for run, amounts in waiting.items():
        if run not in running and run not in excluded:
            names.setdefault(content_key(amounts), run)
    for amounts in (*known, *pending):
        names.pop(content_key(amounts), None)
    random = random_mixtures(budget, NUM_RANDOM_MIXTURES)
    planned: list[dict[str, float]] = [dict(waiting[run]) for run in names.values()]
    new: list[dict[str, float]] = []
    if not planned or (exploring is not None and len(planned) < num_runs):
        apart = [*known, *pending, *planned]
        new = distinct((one for one in (*leaders, *random) if budget.allows(one)), apart_from=apart)
    options = distinct(one for one in (*known, *pending, *planned, *new, *random) if budget.allows(one))
    found: list[NextRun] = []
    for pool in (planned, new):
        chosen = knowledge_gradient_batch(
            fitted,
            model,
            objective,
            pool,
            batch_size=num_runs - len(found),
            options=options or pool,
            pending=[*pending, *(one.amounts for one in found)],
            hours=None if hours is None else [hours(one) for one in pool],
        )
        for place, gain in chosen:
            name = names.get(content_key(pool[place]))
            found.append(NextRun(amounts=pool[place], expected_gain=gain, run=name))
    return found


def knowledge_gradient_batch(
    fitted: AnyModel,
    model: str,
    objective: AnyObjective,
    candidates: Sequence[Amounts],
    *,
    batch_size: int,
    options: Sequence[Amounts] | None = None,
    pending: Sequence[Amounts] = (),
    hours: Sequence[float] | None = None,
) -> list[tuple[int, float]]:
    """Select runs greedily by their knowledge gradient.

    The knowledge gradient of a run is the expected increase of the best posterior mean of the objective: E max_i (mu_i
    + s_i Z) - max_i mu_i with s_i = cov(f_i, y) / sd(y) (P. Frazier, W. Powell and S. Dayanik 2009, INFORMS Journal on
    Computing 21). The next runs of a batch are selected for what they add to the expected best posterior mean after all
    runs of the batch, over joint outcomes (J. Wu and P. Frazier 2016, NeurIPS 29), so that they differ. Covariances are
    those of latent values, converted to scores to first order.

    Without observations, the prior (`gaussian_process.PRIOR_LOG_VARIANCES` and `PRIOR_COEFFICIENTS`) determines the
    selection.

    Args:
        fitted: the transfer model.
        model: name of the model that is trained.
        objective: what is maximised.
        candidates: amounts per language of the possible runs.
        batch_size: runs to select.
        options: mixtures among which the final choice is made; by default the candidates.
        pending: runs in progress, whose outcomes will be known as well.
        hours: expected duration of each candidate; runs are then selected by what they add per hour.

    Returns:
        (position among the candidates, knowledge gradient in the unit of the objective), in the order of selection.
    """
    if not candidates or batch_size < 1:
        return []
    options = list(candidates) if options is None else list(options)
    runs = [*candidates, *pending]
    expected, joint, noise = beliefs(fitted, model, objective, runs, options)
    size = len(pending) + min(batch_size, len(candidates))
    fantasies = _normal_fantasies(size)
    outcomes: np.ndarray | None = None  # posterior means of the options after the runs so far, shape (options, draws)
    chosen: list[tuple[int, float]] = []
    for place in range(size):
        deviations = np.sqrt(np.maximum(np.diag(joint)[: len(runs)], 0.0) + noise)
        spreads = joint[len(runs) :, : len(runs)] / deviations
        if outcomes is None:
            before, draws = expected[:, None], ndtri((np.arange(NUM_QUANTILES) + 0.5) / NUM_QUANTILES)
        else:
            before, draws = outcomes, fantasies[:, place]
        if place < len(pending):
            best = len(candidates) + place
        else:
            now = before.max(axis=0).mean()
            gains = np.array(
                [(before + np.outer(spreads[:, one], draws)).max(axis=0).mean() - now for one in range(len(candidates))]
            )
            score = gains.copy() if hours is None else gains / np.asarray(hours)
            score[[one for one, _ in chosen]] = -np.inf
            best = int(score.argmax())
            chosen.append((best, float(gains[best])))
        if outcomes is None:
            outcomes = np.repeat(expected[:, None], NUM_FANTASIES, axis=1)
        outcomes = outcomes + np.outer(spreads[:, best], fantasies[:, place])
        column = joint[:, best]
        joint = joint - np.outer(column, column) / deviations[best] ** 2
    return chosen


def beliefs(
    fitted: AnyModel, model: str, objective: AnyObjective, runs: Sequence[Amounts], options: Sequence[Amounts]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The expected objective of the options, the joint covariance of runs and options, and the noise of the runs."""
    pool = [*runs, *options]
    num = len(objective.languages)
    latent = fitted.predict_latent(pool, model, objective.languages)
    means = fitted.expected_scores(latent.mean, np.diag(latent.covariance)).reshape(-1, num)
    weights = np.stack([objective.language_weights(row) for row in means])
    slopes = weights * fitted.slopes(latent).reshape(-1, num)
    joint = np.einsum("il,iljm,jm->ij", slopes, latent.covariance.reshape(len(pool), num, len(pool), num), slopes)
    noise = _noise(fitted, means, weights, slopes)[: len(runs)]
    return objective.value(means)[len(runs) :], joint, noise


def _noise(fitted: AnyModel, means: np.ndarray, weights: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Variance of the measured objective of one run around its expectation: the run's, and that of its items."""
    of_run, of_language = fitted.run_variances
    observed = fitted.observed
    num_items = float(np.median(observed.items)) if len(observed.values) else UNKNOWN_ITEMS
    width = observed.high - observed.low
    shares = (means - observed.low) / width
    items = (weights * width) ** 2 * shares * (1 - shares) / num_items
    found = of_run * slopes.sum(axis=1) ** 2 + of_language * (slopes**2).sum(axis=1) + items.sum(axis=1)
    return np.asarray(np.maximum(found, 1e-12))


def _normal_fantasies(num_runs: int) -> np.ndarray:
    """Standard normal outcomes, shape (NUM_FANTASIES, runs); the same in every call."""
    points = qmc.Sobol(num_runs, seed=0).random(NUM_FANTASIES)
    return np.asarray(ndtri(np.clip(points, 1e-6, 1 - 1e-6)))
