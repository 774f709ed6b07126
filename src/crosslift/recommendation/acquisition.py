"""Which runs would teach most about which mixture is best."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri

from crosslift.recommendation.objective import Objective
from crosslift.transfer.model.gaussian_process import TransferModel
from crosslift.transfer.model.observations import Amounts


def knowledge_gradient_batch(
    fitted: TransferModel,
    model: str,
    objective: Objective,
    candidates: Sequence[Amounts],
    *,
    batch_size: int,
    options: Sequence[Amounts] | None = None,
) -> list[tuple[int, float]]:
    """The runs that teach most about which mixture is best, one after the other.

    The value of a run is by how much it is expected to raise the best expected objective: E max_i (mu_i + s_i Z) minus
    max_i mu_i with s_i = cov(f_i, y) / sd(y), the knowledge gradient (P. Frazier, W. Powell and S. Dayanik 2009,
    INFORMS Journal on Computing 21). Later ones of a batch are chosen as if the earlier had come out as expected.
    Before any run is observed, the prior variances (`gaussian_process.PRIOR_LOG_VARIANCES`) decide.

    Args:
        candidates: runs that could be made.
        options: mixtures that will be chosen from in the end; None: the candidates.

    Returns:
        (place among the candidates, expected gain in the unit of the objective), in order.
    """
    options = list(candidates) if options is None else list(options)
    pool = [*candidates, *options]
    mean, covariance = fitted.predict(pool, model, objective.languages)
    num = len(objective.languages)
    means = mean.reshape(-1, num)
    weights = np.stack([objective.language_weights(row) for row in means])
    expected = objective.value(means)[len(candidates) :]
    joint = np.einsum("il,iljm,jm->ij", weights, covariance.reshape(len(pool), num, len(pool), num), weights)
    variances = np.exp(fitted.log_variances) * fitted.scale**2
    noise = float(variances[-2] + variances[-1] * float((weights[0] ** 2).sum()))
    quantiles = _normal_quantiles()
    chosen: list[tuple[int, float]] = []
    for _ in range(min(batch_size, len(candidates))):
        gains = np.full(len(candidates), -np.inf)
        taken = {place for place, _ in chosen}
        for place in range(len(candidates)):
            if place not in taken:
                spread = joint[len(candidates) :, place] / np.sqrt(max(joint[place, place], 0.0) + noise)
                gains[place] = float(
                    (expected[:, None] + spread[:, None] * quantiles).max(axis=0).mean() - expected.max()
                )
        best = int(gains.argmax())
        chosen.append((best, float(gains[best])))
        column = joint[:, best]
        joint = joint - np.outer(column, column) / (max(float(column[best]), 0.0) + noise)
    return chosen


def _normal_quantiles(num: int = 64) -> np.ndarray:
    return np.asarray(ndtri((np.arange(num) + 0.5) / num))
