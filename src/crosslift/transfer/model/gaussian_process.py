"""A Gaussian process that predicts scores from the amounts of training data per language.

The process is over cells (model x mixture x language). Its covariance is a sum of kernels, each with a variance that is
estimated by maximising the marginal likelihood with a prior:

    level(model, language)      score level of a model in a language, independent of the mixture; partly shared between
                                similar languages and by resource class (Joshi et al. 2020)
    size, fertility             log of the model's parameters; tokens per item of a language under a model's tokenizer
    response                    response to the amounts, shared by all models and languages
    response(model), (language), (size)     differences of the response between models and languages
    mixture                     effect of a mixture on all languages and models that its features do not explain
    run                         effect of a run on all its languages: training seed, data order
    noise                       residual: items, and everything that the features do not explain

A response is linear in a few features of the mixture: the log of the language's own amount, of the amounts of other
languages weighted by genetic, syntactic and script similarity, and of the total amount. All are 0 for the base model. A
linear response with a normal prior on its coefficients is a kernel (C. E. Rasmussen and C. K. I. Williams 2006,
Gaussian Processes for Machine Learning, chapters 2 and 5), so that predictions have a variance, which grows with the
distance from the observed mixtures.

The prior on the variances (PRIOR_LOG_VARIANCES) comes from a finished study, so that the model can propose runs without
any or with few observations; with many runs the data dominate.

The model is validated on whole left-out mixtures or languages (`cross_validation`) and not on random rows, because rows
of one run are correlated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import linalg, optimize

from crosslift.transfer.model.features import FEATURES, features_of
from crosslift.transfer.model.kernels import (
    COMPONENTS,
    _all_features,
    _covariance,
    _fertility,
    _kernel_inputs,
    _kernel_matrices,
    _KernelInputs,
    _sizes,
)
from crosslift.transfer.model.observations import Amounts, Observations


@dataclass(frozen=True, kw_only=True)
class TransferModel:
    """A transfer model fitted to observed cells."""

    observed: Observations
    features: tuple[str, ...]
    """Names of the features, see `features.FEATURES`."""
    centre: float
    """Mean of the observed scores; scores are standardised with it."""
    scale: float
    """Standard deviation of the observed scores; scores are standardised with it."""
    feature_means: np.ndarray
    """Means of the features over the observed cells, shape (features,). Features are centred, so that responses and
    levels are not confounded."""
    log_variances: np.ndarray
    """Log variances of the kernels in the order of COMPONENTS, then of the noise, for standardised scores; shape
    (kernels + 1,)."""
    log_likelihood: float
    """Log marginal likelihood plus log prior of the variances, up to a constant."""

    def predict(
        self, mixtures: Sequence[Amounts], model: str, languages: Sequence[str]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Posterior mean and covariance of scores for new runs, without item noise.

        Args:
            mixtures: amounts per language of each new run.
            model: name of the model.
            languages: tags of the evaluation languages.

        Returns:
            Mean, shape (mixtures * languages,) with languages as the fastest index, in the unit of the scores; and its
            covariance, in the squared unit. The covariance excludes the effect of a single run: it is for the mean over
            runs of a mixture.
        """
        new = self._new(mixtures, model, languages)
        across = self._between(new, self._rows)
        half = linalg.solve_triangular(self._lower, across.T, lower=True)
        covariance = self._between(new, new) - half.T @ half
        return self.centre + self.scale * (across @ self._weights), self.scale**2 * covariance

    def predict_mean(self, mixtures: Sequence[Amounts], model: str, languages: Sequence[str]) -> np.ndarray:
        """Posterior means as in `predict`, without the covariance.

        Returns:
            Shape (mixtures, languages), in the unit of the scores.
        """
        across = self._between(self._new(mixtures, model, languages), self._rows)
        return np.asarray(self.centre + self.scale * (across @ self._weights)).reshape(len(mixtures), len(languages))

    def _new(self, mixtures: Sequence[Amounts], model: str, languages: Sequence[str]) -> _KernelInputs:
        rows = [features_of(amounts, languages, self.features) for amounts in mixtures]
        return _KernelInputs(
            features=np.concatenate(rows) - self.feature_means,
            models=np.repeat(model, len(mixtures) * len(languages)),
            languages=np.tile(np.asarray(languages), len(mixtures)),
            mixtures=np.repeat(
                [self._label(number, amounts) for number, amounts in enumerate(mixtures)], len(languages)
            ),
            runs=np.repeat([f"new {number}" for number in range(len(mixtures))], len(languages)),
            sizes=_sizes(self.observed, np.repeat(model, len(mixtures) * len(languages))),
            fertility=np.tile(
                _fertility(self.observed, np.repeat(model, len(languages)), np.asarray(languages)), len(mixtures)
            ),
        )

    def _between(self, one: _KernelInputs, other: _KernelInputs) -> np.ndarray:
        """Covariance without run effects and noise."""
        total: np.ndarray = np.zeros((len(one.models), len(other.models)))
        for value, part in zip(np.exp(self.log_variances[:-2]), _kernel_matrices(one, other)[:-1], strict=True):
            total += value * part
        return total

    def _label(self, number: int, amounts: Amounts) -> str:
        """The label of the observed mixture with these amounts, whose effect is then known, or a new label."""
        key = _key(amounts)
        return next((name for name, known in self.observed.amounts.items() if _key(known) == key), f"new {number}")

    @cached_property
    def _rows(self) -> _KernelInputs:
        return _kernel_inputs(self.observed, self.features, self.feature_means)

    @cached_property
    def _lower(self) -> np.ndarray:
        return np.asarray(
            linalg.cholesky(_covariance(_kernel_matrices(self._rows, self._rows), self.log_variances), lower=True)
        )

    @cached_property
    def _weights(self) -> np.ndarray:
        y = (self.observed.values - self.centre) / self.scale
        return np.asarray(linalg.cho_solve((self._lower, True), y))

    def predict_left_out(self, left_out: np.ndarray) -> np.ndarray:
        """Leave-group-out predictions with this fit's variances, from blocks of the inverse covariance K^-1.

        Args:
            left_out: label of the group of each row, shape (n,); the rows of a group are predicted from all other rows.

        Returns:
            Predictions, shape (n,), in the unit of the scores.
        """
        inverse = linalg.cho_solve((self._lower, True), np.eye(len(self.observed.values)))
        weighted = self._weights
        y = (self.observed.values - self.centre) / self.scale
        predicted = np.empty_like(y)
        for label in np.unique(left_out):
            rows = np.flatnonzero(left_out == label)
            predicted[rows] = y[rows] - np.linalg.solve(inverse[np.ix_(rows, rows)], weighted[rows])
        return np.asarray(self.centre + self.scale * predicted)

    def component_deviations(self) -> dict[str, float]:
        """Standard deviation of each kernel and of the noise, in the unit of the scores."""
        return {
            name: float(self.scale * np.exp(value / 2))
            for name, value in zip((*COMPONENTS, "noise"), self.log_variances, strict=True)
        }


def _key(amounts: Amounts) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((tag, round(amount)) for tag, amount in amounts.items() if amount > 0))


MIN_LOG_VARIANCE = -14.0
"""Lower bound of a log variance, at which a kernel has no effect."""
PRIOR_LOG_VARIANCES = np.array([-4.0, -3.2, -3.5, -4.8, -2.0, -2.0, 1.2, -3.4, -0.7, -2.0, -3.6, -5.9, -2.2])
"""Prior means of the log variances of COMPONENTS and noise, for standardised scores: means over three tasks of
`references/post-trainers-guide` (tools/typical_variances.py); -2 for size and fertility."""
PRIOR_PRECISION = 0.2
"""Prior precision of a log variance; a standard deviation is within about a factor of three of its prior mean."""
PRIOR_SCALE = 0.15
"""Standard deviation of scores over cells if there are no observations."""
MIN_SCALE = 0.03
"""Smallest standard deviation used for standardising scores."""


def fit_transfer_model(
    observed: Observations,
    *,
    features: tuple[str, ...] = FEATURES,
    prior_log_variances: np.ndarray = PRIOR_LOG_VARIANCES,
    prior_precision: float = PRIOR_PRECISION,
    initial_log_variances: np.ndarray | None = None,
    max_iterations: int = 60,
) -> TransferModel:
    """Fit the variances by maximum a posteriori estimation: marginal likelihood times a log-normal prior.

    Args:
        observed: any number of cells; without cells the variances are those of the prior.
        features: names of the features.
        prior_log_variances: prior means of the log variances, shape (kernels + 1,).
        prior_precision: prior precision of each log variance.
        initial_log_variances: start of the optimisation, e.g. from an earlier fit; by default the prior means.
        max_iterations: of the optimiser (L-BFGS-B).
    """
    num = len(observed.values)
    centre = float(observed.values.mean()) if num else 0.5
    scale = max(float(observed.values.std()), MIN_SCALE) if num else PRIOR_SCALE
    feature_means = _all_features(observed, features).mean(axis=0) if num else np.zeros(len(features))
    rows = _kernel_inputs(observed, features, feature_means)
    parts = _kernel_matrices(rows, rows)
    y = (observed.values - centre) / scale

    def loss(log_variances: np.ndarray) -> tuple[float, np.ndarray]:
        covariance = _covariance(parts, log_variances)
        lower = linalg.cholesky(covariance, lower=True, overwrite_a=True)
        weights = linalg.cho_solve((lower, True), y)
        inverse = linalg.cho_solve((lower, True), np.eye(len(y)))
        value = 0.5 * float(y @ weights) + float(np.log(np.diag(lower)).sum())
        slope = [0.5 * np.exp(v) * (float((inverse * part).sum()) - float(weights @ part @ weights))
                 for v, part in zip(log_variances[:-1], parts, strict=True)]  # fmt: skip
        slope.append(0.5 * np.exp(log_variances[-1]) * (float(np.trace(inverse)) - float(weights @ weights)))
        away = prior_precision * (log_variances - prior_log_variances)
        return value + 0.5 * float(away @ (log_variances - prior_log_variances)), np.array(slope) + away

    begin = prior_log_variances if initial_log_variances is None else initial_log_variances
    found = optimize.minimize(
        loss,
        begin,
        jac=True,
        method="L-BFGS-B",
        bounds=[(MIN_LOG_VARIANCE, 4.0)] * len(begin),
        options={"maxiter": max_iterations},
    )
    return TransferModel(
        observed=observed,
        features=features,
        centre=centre,
        scale=scale,
        feature_means=feature_means,
        log_variances=np.asarray(found.x),
        log_likelihood=-float(found.fun),
    )
