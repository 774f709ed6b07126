"""Acquisition function: the runs that are expected to improve the choice of a mixture most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri

from crosslift.recommendation.objective import Objective
from crosslift.transfer.model.observations import UNKNOWN_ITEMS, Amounts
from crosslift.transfer.model.posterior import TransferModel


def knowledge_gradient_batch(
    fitted: TransferModel,
    model: str,
    objective: Objective,
    candidates: Sequence[Amounts],
    *,
    batch_size: int,
    options: Sequence[Amounts] | None = None,
) -> list[tuple[int, float]]:
    """Select runs greedily by their knowledge gradient.

    The knowledge gradient of a run is the expected increase of the best posterior mean of the objective: E max_i (mu_i
    + s_i Z) - max_i mu_i with s_i = cov(f_i, y) / sd(y) (P. Frazier, W. Powell and S. Dayanik 2009, INFORMS Journal on
    Computing 21). Each selected run is conditioned on, at its posterior mean, before the next one is selected. Without
    observations, the prior variances (`gaussian_process.PRIOR_LOG_VARIANCES`) determine the selection. Covariances are
    those of latent values, converted to scores to first order.

    Args:
        fitted: the transfer model.
        model: name of the model that is trained.
        objective: what is maximised.
        candidates: amounts per language of the possible runs.
        batch_size: runs to select.
        options: mixtures among which the final choice is made; by default the candidates.

    Returns:
        (position among the candidates, knowledge gradient in the unit of the objective), in the order of selection.
    """
    if not candidates or batch_size < 1:
        return []
    options = list(candidates) if options is None else list(options)
    pool = [*candidates, *options]
    num = len(objective.languages)
    latent = fitted.predict_latent(pool, model, objective.languages)
    means = fitted.expected_scores(latent.mean, np.diag(latent.covariance)).reshape(-1, num)
    weights = np.stack([objective.language_weights(row) for row in means])
    slopes = weights * fitted.slopes(latent).reshape(-1, num)
    expected = objective.value(means)[len(candidates) :]
    joint = np.einsum("il,iljm,jm->ij", slopes, latent.covariance.reshape(len(pool), num, len(pool), num), slopes)
    noise = _noise(fitted, means, weights, slopes)[: len(candidates)]
    quantiles = _normal_quantiles()
    chosen: list[tuple[int, float]] = []
    for _ in range(min(batch_size, len(candidates))):
        gains = np.full(len(candidates), -np.inf)
        taken = {place for place, _ in chosen}
        for place in range(len(candidates)):
            if place not in taken:
                spread = joint[len(candidates) :, place] / np.sqrt(max(joint[place, place], 0.0) + noise[place])
                gains[place] = float(
                    (expected[:, None] + spread[:, None] * quantiles).max(axis=0).mean() - expected.max()
                )
        best = int(gains.argmax())
        chosen.append((best, float(gains[best])))
        column = joint[:, best]
        joint = joint - np.outer(column, column) / (max(float(column[best]), 0.0) + noise[best])
    return chosen


def _noise(fitted: TransferModel, means: np.ndarray, weights: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Variance of the measured objective of one run around its expectation: the run's, and that of its items."""
    of_run, of_language = fitted.run_variances
    observed = fitted.observed
    num_items = float(np.median(observed.items)) if len(observed.values) else UNKNOWN_ITEMS
    width = observed.high - observed.low
    shares = (means - observed.low) / width
    items = (weights * width) ** 2 * shares * (1 - shares) / num_items
    found = of_run * slopes.sum(axis=1) ** 2 + of_language * (slopes**2).sum(axis=1) + items.sum(axis=1)
    return np.asarray(np.maximum(found, 1e-12))


def _normal_quantiles(num: int = 64) -> np.ndarray:
    return np.asarray(ndtri((np.arange(num) + 0.5) / num))
