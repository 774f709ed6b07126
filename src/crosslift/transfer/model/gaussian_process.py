"""A Gaussian process that predicts scores from the amounts of training data per language.

The process is over cells (model x mixture x language) on the probit scale (`link`). Its covariance is a sum of kernels,
each with a variance that is estimated by maximising the marginal likelihood with a prior:

    level(model, language)      score level of a model in a language, independent of the mixture; partly shared between
                                similar languages and by resource class (Joshi et al. 2020)
    size, fertility             log of the model's parameters; tokens per item of a language under a model's tokenizer
    response                    response to the amounts, shared by all models and languages
    response(model), (language), (size)     differences of the response between models and languages
    mixture                     what the features of a mixture do not explain: for all models and languages, for one
    mixture(model), (language), (model, language)   model, for one language, and for one cell
    run, noise                  effect of a run on all its languages, and on one: training seed, data order

The measurement noise of the items is not estimated but known (`measurement`): a score of n effective items has the
binomial variance. So an observed mixture is expected at about what was measured, as far as the items and the noise
between runs allow; the kernels of mixtures say how far a mixture that was not observed may be from what its features
suggest.

A response is linear in a few features of the mixture: the log of the language's own amount, of the amounts of other
languages weighted by genetic, syntactic and script similarity, and of the total amount. All are 0 for the base model. A
linear response with a normal prior on its coefficients is a kernel (C. E. Rasmussen and C. K. I. Williams 2006,
Gaussian Processes for Machine Learning, chapters 2 and 5), so that predictions have a variance, which grows with the
distance from the observed mixtures.

The likelihood of measured shares is binomial. It is approximated by normal working responses around the most probable
latent values, alternately with the variances (N. E. Breslow and D. G. Clayton 1993, Approximate inference in
generalized linear mixed models, Journal of the American Statistical Association 88).

The prior on the variances (PRIOR_LOG_VARIANCES) comes from a finished study, so that the model can propose runs without
any or with few observations; with many runs the data dominate.

The model is validated on whole left-out mixtures or languages (`cross_validation`) and not on random rows, because rows
of one run are correlated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy import linalg, optimize

from crosslift.transfer.model.features import FEATURES
from crosslift.transfer.model.kernels import (
    COMPONENTS,
    NUM_OF_RUNS,
    KernelInputs,
    kernel_diagonals,
    kernel_matrices,
    new_inputs,
    observed_features,
    observed_inputs,
)
from crosslift.transfer.model.link import (
    LARGEST_LATENT,
    expected_share,
    expected_slope,
    to_latent,
    to_share,
    working_response,
)
from crosslift.transfer.model.observations import Amounts, Observations

MIN_LOG_VARIANCE = -16.0
"""Lower bound of a log variance, at which a kernel has no effect."""
MAX_LOG_VARIANCE = 4.0
"""Upper bound of a log variance."""
PRIOR_LOG_VARIANCES = np.array(
    [-3.6, -4.1, -4.1, -4.3, -2.0, -2.0, 0.8, -3.7, -4.3, -2.0, -2.7, -4.2, -1.7, -6.0, -5.9, -4.6]
)
"""Prior means of the log variances of COMPONENTS, the kernels of runs for latent values and all others for
standardised latent values: means over three tasks of `references/post-trainers-guide` (tools/typical_variances.py); -2
for size and fertility; for runs the deviations between training seeds of `references/english-is-not-all-you-need`
(`between_seed_deviations`), about 2 points for a run and 4 for one of its languages at a score of one half."""
PRIOR_PRECISION = np.array([0.2] * (len(COMPONENTS) - NUM_OF_RUNS) + [1.0] * NUM_OF_RUNS)
"""Prior precisions of the log variances; a standard deviation is within about a factor of three of its prior mean, that
of a run within a factor of two, because without replicates the data do not tell it from that of a mixture."""
PRIOR_SCALE = 0.4
"""Standard deviation of latent values over cells if there are no observations."""
MIN_SCALE = 0.05
"""Smallest standard deviation used for standardising latent values."""
CENTRE_VARIANCE = 0.25
"""Variance of the common level of all cells around the mean of the observed ones."""
NUM_ROUNDS = 2
"""Alternations between variances and working responses."""
NUM_STEPS = 8
"""Steps of the iteratively reweighted least squares."""


class Latent(NamedTuple):
    """Normal posterior of latent values, see `link`."""

    mean: np.ndarray
    """Shape (n,)."""
    covariance: np.ndarray
    """Shape (n, n)."""


@dataclass(frozen=True, kw_only=True)
class TransferModel:
    """A transfer model fitted to observed cells."""

    observed: Observations
    features: tuple[str, ...]
    """Names of the features, see `features.FEATURES`."""
    centre: float
    """Mean of the observed latent values."""
    scale: float
    """Standard deviation of the observed latent values; the variances of all kernels but those of runs are relative to
    its square."""
    feature_means: np.ndarray
    """Means of the features over the observed cells, shape (features,). Features are centred, so that responses and
    levels are not confounded."""
    log_variances: np.ndarray
    """Log variances of the kernels in the order of COMPONENTS, relative to `scale`, shape (kernels,)."""
    responses: np.ndarray
    """Working responses of the observed cells minus `centre`, shape (n,)."""
    response_variances: np.ndarray
    """Variances of the working responses, from the items alone, shape (n,)."""
    log_likelihood: float
    """Log marginal likelihood of the working responses plus log prior of the variances, up to a constant."""

    def predict(
        self, mixtures: Sequence[Amounts], model: str, languages: Sequence[str]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Posterior mean and covariance of scores for new runs, without item noise.

        Args:
            mixtures: amounts per language of each new run.
            model: name of the model.
            languages: tags of the evaluation languages.

        Returns:
            Mean, shape (mixtures * languages,) with languages as the fastest index, in the unit of the scores and
            within the metric's range; and its covariance to first order, in the squared unit. The covariance excludes
            the effect of a single run: it is for the mean over runs of a mixture.
        """
        latent = self.predict_latent(mixtures, model, languages)
        slopes = self.slopes(latent)
        mean = self.expected_scores(latent.mean, np.diag(latent.covariance))
        return mean, slopes[:, None] * latent.covariance * slopes

    def predict_mean(self, mixtures: Sequence[Amounts], model: str, languages: Sequence[str]) -> np.ndarray:
        """Posterior means as in `predict`, without the covariance.

        Returns:
            Shape (mixtures, languages), in the unit of the scores.
        """
        new = new_inputs(self.observed, self.features, self.feature_means, mixtures, model, languages)
        across = self._between(new, self._rows)
        half = linalg.solve_triangular(self._lower, across.T, lower=True)
        variance = _weighted(self._variances[:-NUM_OF_RUNS], kernel_diagonals(new)) - (half**2).sum(axis=0)
        mean = self.centre + across @ self._weights
        return self.expected_scores(mean, np.maximum(variance, 0.0)).reshape(len(mixtures), len(languages))

    def predict_latent(self, mixtures: Sequence[Amounts], model: str, languages: Sequence[str]) -> Latent:
        """Posterior of the latent values for new runs; arguments and order as for `predict`."""
        new = new_inputs(self.observed, self.features, self.feature_means, mixtures, model, languages)
        across = self._between(new, self._rows)
        half = linalg.solve_triangular(self._lower, across.T, lower=True)
        return Latent(self.centre + across @ self._weights, self._between(new, new) - half.T @ half)

    def predict_median(self, mixtures: Sequence[Amounts], model: str, languages: Sequence[str]) -> np.ndarray:
        """Posterior medians of the scores, without their covariance.

        Returns:
            Shape (mixtures, languages), in the unit of the scores.
        """
        new = new_inputs(self.observed, self.features, self.feature_means, mixtures, model, languages)
        latent = self.centre + self._between(new, self._rows) @ self._weights
        return self._scores(to_share(latent)).reshape(len(mixtures), len(languages))

    def draw(
        self,
        mixtures: Sequence[Amounts],
        model: str,
        languages: Sequence[str],
        num_draws: int,
        generator: np.random.Generator,
    ) -> np.ndarray:
        """Joint posterior draws of the scores; arguments as for `predict`.

        Returns:
            Shape (draws, mixtures, languages), in the unit of the scores and within the metric's range.
        """
        latent = self.predict_latent(mixtures, model, languages)
        values, vectors = np.linalg.eigh(latent.covariance)
        normals = generator.standard_normal((num_draws, len(latent.mean)))
        drawn = latent.mean + normals @ (vectors * np.sqrt(np.clip(values, 0.0, None))).T
        return self._scores(to_share(drawn)).reshape(num_draws, len(mixtures), len(languages))

    def predict_left_out(self, left_out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Leave-group-out predictions with this fit's variances, from blocks of the inverse covariance K^-1.

        Args:
            left_out: label of the group of each row, shape (n,); the rows of a group are predicted from all other rows.

        Returns:
            Means and variances of the latent values of new runs, shape (n,) each, without item noise.
        """
        inverse = linalg.cho_solve((self._lower, True), np.eye(len(self.responses)))
        mean, variance = np.empty_like(self.responses), np.empty_like(self.responses)
        for label in np.unique(left_out):
            rows = np.flatnonzero(left_out == label)
            block = np.linalg.inv(inverse[np.ix_(rows, rows)])
            mean[rows] = self.responses[rows] - block @ self._weights[rows]
            variance[rows] = np.diag(block) - self.response_variances[rows]
        return self.centre + mean, np.maximum(variance, 0.0)

    def slopes(self, latent: Latent) -> np.ndarray:
        """Derivatives of the expected scores with respect to the means of latent values, in the unit of the scores."""
        return self._range * expected_slope(latent.mean, np.diag(latent.covariance))

    def expected_scores(self, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
        """Expected scores of latent values, in the unit of the scores."""
        return self._scores(expected_share(mean, variance))

    @property
    def run_variances(self) -> tuple[float, float]:
        """Latent variances of a run: for all its languages, and for one."""
        run, noise = np.exp(self.log_variances[-NUM_OF_RUNS:])
        return float(run), float(noise)

    def component_deviations(self) -> dict[str, float]:
        """Standard deviation of each kernel, in the unit of the scores, at the mean of the latent values."""
        slope = self._range * float(expected_slope(np.array(self.centre), np.array(0.0)))
        deviations = np.sqrt(self._variances)
        return {name: slope * float(value) for name, value in zip(COMPONENTS, deviations, strict=True)}

    @property
    def _range(self) -> float:
        return self.observed.high - self.observed.low

    def _scores(self, shares: np.ndarray) -> np.ndarray:
        return np.asarray(self.observed.low + self._range * shares)

    def _between(self, one: KernelInputs, other: KernelInputs) -> np.ndarray:
        """Covariance without effects of runs."""
        return _weighted(self._variances[:-NUM_OF_RUNS], kernel_matrices(one, other, of_runs=False))

    @cached_property
    def _variances(self) -> np.ndarray:
        return _variances(self.log_variances, self.scale)

    @cached_property
    def _rows(self) -> KernelInputs:
        return observed_inputs(self.observed, self.features, self.feature_means)

    @cached_property
    def _lower(self) -> np.ndarray:
        covariance = _weighted(self._variances, kernel_matrices(self._rows, self._rows, of_runs=True))
        return np.asarray(linalg.cholesky(covariance + np.diag(self.response_variances), lower=True))

    @cached_property
    def _weights(self) -> np.ndarray:
        return np.asarray(linalg.cho_solve((self._lower, True), self.responses))


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
    feature_means = observed_features(observed, features).mean(axis=0) if num else np.zeros(len(features))
    rows = observed_inputs(observed, features, feature_means)
    parts = np.stack(list(kernel_matrices(rows, rows, of_runs=True)))
    log_variances = np.array(prior_log_variances if initial_log_variances is None else initial_log_variances)
    value = 0.0
    y = noise = np.zeros(num)
    for _ in range(NUM_ROUNDS if num else 0):
        prior = _total(parts, _variances(log_variances, scale))
        y, noise = _working_responses(prior, shares, items, centre, latent)
        found = optimize.minimize(
            _loss,
            log_variances,
            args=(parts, y, noise, scale, prior_log_variances, prior_precision),
            jac=True,
            method="L-BFGS-B",
            bounds=[(MIN_LOG_VARIANCE, MAX_LOG_VARIANCE)] * len(log_variances),
            options={"maxiter": max_iterations},
        )
        log_variances, value = np.asarray(found.x), float(found.fun)
    if num:
        log_variances = _mean_variances(
            log_variances, lambda at: _loss(at, parts, y, noise, scale, prior_log_variances, prior_precision)[1]
        )
        y, noise = _working_responses(_total(parts, _variances(log_variances, scale)), shares, items, centre, latent)
    return TransferModel(
        observed=observed,
        features=features,
        centre=centre,
        scale=scale,
        feature_means=feature_means,
        log_variances=log_variances,
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


def _variances(log_variances: np.ndarray, scale: float) -> np.ndarray:
    """Variances of the kernels for latent values; those of runs are not relative to the scale."""
    variances = np.exp(log_variances)
    variances[:-NUM_OF_RUNS] *= scale**2
    return variances


def _weighted(variances: np.ndarray, parts: Iterable[np.ndarray]) -> np.ndarray:
    """Sum of the kernels with their variances; one matrix at a time, because new cells can be many."""
    total: np.ndarray | float = CENTRE_VARIANCE
    for variance, part in zip(variances, parts, strict=True):
        total = total + variance * part
    return np.asarray(total)


def _total(parts: np.ndarray, variances: np.ndarray) -> np.ndarray:
    flat = variances @ parts.reshape(len(parts), -1)
    return np.asarray(CENTRE_VARIANCE + flat.reshape(parts.shape[1:]))


def _working_responses(
    prior: np.ndarray, shares: np.ndarray, items: np.ndarray, centre: float, latent: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Working responses, minus the centre, and their variances at the most probable latent values.

    Args:
        prior: covariance of the latent values, with effects of runs.
        shares: measured shares.
        items: effective numbers of items.
        centre: mean of the latent values.
        latent: latent values to start from.
    """
    for _ in range(NUM_STEPS):
        response, variance = working_response(latent, shares, items)
        lower = linalg.cho_factor(prior + np.diag(variance), lower=True, overwrite_a=True)
        moved = centre + prior @ linalg.cho_solve(lower, response - centre)
        done = float(np.abs(moved - latent).max()) < 1e-3
        latent = np.clip(moved, -LARGEST_LATENT, LARGEST_LATENT)
        if done:
            break
    response, variance = working_response(latent, shares, items)
    return response - centre, variance


def _loss(
    log_variances: np.ndarray,
    parts: np.ndarray,
    y: np.ndarray,
    noise: np.ndarray,
    scale: float,
    prior_log_variances: np.ndarray,
    prior_precision: np.ndarray | float,
) -> tuple[float, np.ndarray]:
    """Negative log marginal likelihood minus log prior, and its derivatives."""
    variances = _variances(log_variances, scale)
    covariance = _total(parts, variances) + np.diag(noise)
    lower = linalg.cholesky(covariance, lower=True, overwrite_a=True, check_finite=False)
    weights = linalg.cho_solve((lower, True), y, check_finite=False)
    value = 0.5 * float(y @ weights) + float(np.log(np.diag(lower)).sum())
    inverse, _ = linalg.lapack.dpotri(lower, lower=True)  # fills the lower triangle only
    both = np.tril(inverse, -1)
    curvature = both + both.T + np.diag(np.diag(inverse)) - np.outer(weights, weights)
    slope = 0.5 * variances * (parts.reshape(len(parts), -1) @ curvature.ravel())
    away = prior_precision * (log_variances - prior_log_variances)
    return value + 0.5 * float(away @ (log_variances - prior_log_variances)), slope + away
