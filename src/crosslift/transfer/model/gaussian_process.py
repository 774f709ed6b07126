"""A Gaussian process that predicts scores from the amounts of training data per language.

The process is over cells (model x mixture x language) on the probit scale (`link`). Its covariance is a sum of kernels,
each with a variance that is estimated by maximising the marginal likelihood with a prior:

    level(model, language)      score level of a model in a language, independent of the mixture; partly shared between
                                similar languages and by resource class (Joshi et al. 2020)
    size, fertility             log of the model's parameters; tokens per item of a language under a model's tokenizer
    response                    response to the amounts, shared by all models and languages
    response(model), (language), (size)     differences of the response between models and languages
    mixture                     what the features of a mixture do not explain and mixtures of almost the same amounts
    mixture(model), (language), (model, language)   share: for all models and languages, for one, and for both
    cell                        what no other mixture shares, for one model and language
    run, noise                  effect of a run on all its languages, and on one: training seed, data order

The measurement noise of the items is not estimated but known (`measurement`): a score of n effective items has the
binomial variance. So an observed mixture is expected at about what was measured, as far as the items and the noise
between runs allow; the kernels of mixtures say how far a mixture that was not observed may be from what its features
suggest.

A response is linear in a few features of the mixture: the log of the language's own amount, of the amounts of other
languages weighted by genetic, syntactic and script similarity, and of the total amount; and the presence of all of
these but the total, which rises from 0 to 1 within the first few items (`features`). All are 0 for the base model. A
linear response with a normal prior on its coefficients is a kernel (C. E. Rasmussen and C. K. I. Williams 2006,
Gaussian Processes for Machine Learning, chapters 2 and 5), so that predictions have a variance, which grows with the
distance from the observed mixtures. The prior means of the coefficients of the language's own amount and presence are
above 0 (PRIOR_COEFFICIENTS): before anything is measured, more of a language is expected to help it, and because the
amount counts by its logarithm and its presence, mixtures of several languages are expected to be better on average than
single languages.

The likelihood of measured shares is binomial. It is approximated by normal working responses around the most probable
latent values, alternately with the variances (N. E. Breslow and D. G. Clayton 1993, Approximate inference in
generalized linear mixed models, Journal of the American Statistical Association 88).

The prior on the variances (PRIOR_LOG_VARIANCES) comes from a finished study, so that the model can propose runs without
any or with few observations; with many runs the data dominate.

The model is validated on whole left-out mixtures or languages (`cross_validation`) and not on random rows, because rows
of one run are correlated.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import linalg, optimize

from crosslift.transfer.model.features import FEATURES
from crosslift.transfer.model.kernels import (
    CENTRE_VARIANCE,
    COMPONENTS,
    NUM_OF_RUNS,
    kernel_matrices,
    latent_variances,
    observed_features,
    observed_inputs,
)
from crosslift.transfer.model.link import LARGEST_LATENT, to_latent, working_response
from crosslift.transfer.model.observations import Observations
from crosslift.transfer.model.posterior import TransferModel

MIN_LOG_VARIANCE = -16.0
"""Lower bound of a log variance, at which a kernel has no effect."""
MAX_LOG_VARIANCE = 4.0
"""Upper bound of a log variance."""
PRIOR_LOG_VARIANCES = np.array(
    [-4.3, -1.7, -2.2, -4.1, -2.0, -2.0, 0.2, -2.1, -1.8, -2.0, -4.2, -3.6, -3.4, -3.0, -3.7, -5.9, -4.6]
)
"""Prior means of the log variances of COMPONENTS, the kernels of runs for latent values and all others for
standardised latent values: logs of the mean variances over three tasks of `references/post-trainers-guide`
(tools/typical_variances.py), because intervals are made of expected variances; -2 for size and fertility; for runs the
deviations between training seeds of `references/english-is-not-all-you-need` (`between_seed_deviations`), about 2
points for a run and 4 for one of its languages at a score of one half."""
PRIOR_PRECISION = np.array([0.2] * (len(COMPONENTS) - NUM_OF_RUNS) + [1.0] * NUM_OF_RUNS)
"""Prior precisions of the log variances; a standard deviation is within about a factor of three of its prior mean, that
of a run within a factor of two, because without replicates the data do not tell it from that of a mixture."""
PRIOR_TAIL = 1.0
"""Distance below the prior mean of a log variance from which its prior density falls exponentially and no longer as a
normal one: an effect that is three times as small as usual in variance, or absent, is not unusual, as the imported
grids show, whose mixtures hardly differ."""
PRIOR_COEFFICIENTS = {"own": 0.4, "own presence": 0.5}
"""Prior means of the response to a unit of a feature, relative to the standard deviation of latent values; 0 for all
others. They were nowhere below 0: those of the language's own amount .6 on average over the three tasks of
`references/post-trainers-guide`, .15 over 28 published and imported tasks; of its presence 1.0 and .1
(tools/typical_variances.py). The prior means are about half-way, and the prior variance of "response" reaches most."""
PRIOR_SCALE = 0.4
"""Standard deviation of latent values over cells if there are no observations."""
MIN_SCALE = 0.05
"""Smallest standard deviation used for standardising latent values."""
NUM_ROUNDS = 2
"""Alternations between variances and working responses."""
NUM_STEPS = 8
"""Steps of the iteratively reweighted least squares."""


def fit_transfer_model(
    observed: Observations,
    *,
    features: tuple[str, ...] = FEATURES,
    prior_log_variances: np.ndarray = PRIOR_LOG_VARIANCES,
    prior_precision: np.ndarray | float = PRIOR_PRECISION,
    initial_log_variances: np.ndarray | None = None,
    max_iterations: int = 40,
) -> TransferModel:
    """Fit the variances by maximum a posteriori estimation: marginal likelihood times a log-normal prior.

    Args:
        observed: any number of cells; without cells the variances are those of the prior.
        features: names of the features.
        prior_log_variances: prior means of the log variances, shape (kernels,).
        prior_precision: prior precision of each log variance.
        initial_log_variances: start of the optimisation, e.g. from an earlier fit; by default the prior means.
        max_iterations: of the optimiser (L-BFGS-B) in each round.
    """
    num = len(observed.values)
    shares, items = observed.shares, observed.items
    latent = to_latent(shares, items)
    centre = float(latent.mean()) if num else 0.0
    scale = max(float(latent.std()), MIN_SCALE) if num else PRIOR_SCALE
    coefficients = scale * np.array([PRIOR_COEFFICIENTS.get(name, 0.0) for name in features])
    feature_means = observed_features(observed, features).mean(axis=0) if num else np.zeros(len(features))
    rows = observed_inputs(observed, features, feature_means)
    expected = centre + rows.features @ coefficients
    parts = np.stack(list(kernel_matrices(rows, rows, of_runs=True)))
    log_variances = np.array(prior_log_variances if initial_log_variances is None else initial_log_variances)
    value = 0.0
    y = noise = np.zeros(num)

    def loss(at: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = _likelihood(at, parts, y, noise, scale)
        apart = at - prior_log_variances
        near = np.maximum(apart, -PRIOR_TAIL)
        away = prior_precision * near
        return value + float(away @ (apart - near / 2)), slope + away

    for _ in range(NUM_ROUNDS if num else 0):
        prior = _total(parts, latent_variances(log_variances, scale))
        y, noise = _working_responses(prior, shares, items, expected, latent)
        found = optimize.minimize(
            loss,
            log_variances,
            jac=True,
            method="L-BFGS-B",
            bounds=[(MIN_LOG_VARIANCE, MAX_LOG_VARIANCE)] * len(log_variances),
            options={"maxiter": max_iterations},
        )
        log_variances, value = np.asarray(found.x), float(found.fun)
    if num:
        log_variances = _mean_variances(log_variances, lambda at: loss(at)[1])
        y, noise = _working_responses(
            _total(parts, latent_variances(log_variances, scale)), shares, items, expected, latent
        )
    return TransferModel(
        observed=observed,
        features=features,
        centre=centre,
        scale=scale,
        feature_means=feature_means,
        log_variances=log_variances,
        coefficients=coefficients,
        responses=y,
        response_variances=noise,
        log_likelihood=-value,
    )


def _mean_variances(mode: np.ndarray, slope: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Logarithms of the expected variances, from the mode of the log variances and the curvature there.

    With few models, languages or mixtures the mode of a variance says little, and intervals at the mode are too narrow.
    A normal approximation of the log variances makes a variance log-normal, with expectation exp(mean + s^2 / 2); s is
    limited to 1.

    Args:
        mode: log variances, shape (kernels,).
        slope: derivative of the loss.
    """
    step = 0.1
    at_mode = slope(mode)
    curvature = np.stack([(slope(mode + step * unit) - at_mode) / step for unit in np.eye(len(mode))])
    values, vectors = np.linalg.eigh((curvature + curvature.T) / 2)
    squares = (vectors**2 / np.maximum(values, 0.2)).sum(axis=1)
    return np.asarray(mode + np.minimum(squares, 1.0) / 2)


def _total(parts: np.ndarray, variances: np.ndarray) -> np.ndarray:
    flat = variances @ parts.reshape(len(parts), -1)
    return np.asarray(CENTRE_VARIANCE + flat.reshape(parts.shape[1:]))


def _working_responses(
    prior: np.ndarray, shares: np.ndarray, items: np.ndarray, expected: np.ndarray, latent: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Working responses, minus their prior means, and their variances at the most probable latent values.

    Args:
        prior: covariance of the latent values, with effects of runs.
        shares: measured shares.
        items: effective numbers of items.
        expected: prior means of the latent values.
        latent: latent values to start from.
    """
    for _ in range(NUM_STEPS):
        response, variance = working_response(latent, shares, items)
        lower = linalg.cho_factor(prior + np.diag(variance), lower=True, overwrite_a=True)
        moved = expected + prior @ linalg.cho_solve(lower, response - expected)
        done = float(np.abs(moved - latent).max()) < 1e-3
        latent = np.clip(moved, -LARGEST_LATENT, LARGEST_LATENT)
        if done:
            break
    response, variance = working_response(latent, shares, items)
    return response - expected, variance


def _likelihood(
    log_variances: np.ndarray, parts: np.ndarray, y: np.ndarray, noise: np.ndarray, scale: float
) -> tuple[float, np.ndarray]:
    """Negative log marginal likelihood of the working responses, up to a constant, and its derivatives."""
    variances = latent_variances(log_variances, scale)
    covariance = _total(parts, variances) + np.diag(noise)
    lower = linalg.cholesky(covariance, lower=True, overwrite_a=True, check_finite=False)
    weights = linalg.cho_solve((lower, True), y, check_finite=False)
    value = 0.5 * float(y @ weights) + float(np.log(np.diag(lower)).sum())
    inverse, _ = linalg.lapack.dpotri(lower, lower=True)  # fills the lower triangle only
    both = np.tril(inverse, -1)
    curvature = both + both.T + np.diag(np.diag(inverse)) - np.outer(weights, weights)
    return value, 0.5 * variances * (parts.reshape(len(parts), -1) @ curvature.ravel())
