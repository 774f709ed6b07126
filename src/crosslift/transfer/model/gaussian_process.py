"""Predict a score from what was trained on: amounts in the language itself and in languages like it.

A Gaussian process over cells (model x mixture x language) whose covariance is a sum of parts, each with a variance that
the data choose by marginal likelihood:

    level(model, language)      how good a model is in a language whatever it is trained on; part of it by its relatives
                                and by its resource class (Joshi et al. 2020)
    size, fertility             the log of a model's parameters; tokens per item of a language under a model's tokenizer
    response                    to the amounts, shared by all models and languages
    response(model), (language), (size)     and how models and languages differ in it
    mixture                     what a mixture does to all languages and models that its features do not tell
    run                         what happens to all languages of one run alike: seed, order
    noise                       what is left: items, and all that the features do not tell

A response is linear in few features of the mixture as a language sees it: the log of its own amount, of the amounts
of others weighted by genetic, syntactic and script similarity, and of the total; all are 0 where nothing was trained
on. A linear response with a normal prior is a kernel (C. E. Rasmussen and C. K. I. Williams 2006, Gaussian Processes
for Machine Learning, chapters 2 and 5), so predictions come with an uncertainty that grows where nothing was tried.

Prior variances (PRIOR_LOG_VARIANCES) come from a finished study, so that the model can propose runs from no or one
observed run on; with many runs the data dominate.

Whether such a model may be believed is tested by leaving out whole mixtures or whole languages, never random rows:
rows of one run share its fate, and a random split lets a model read the answer off its neighbours.
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
    """A fitted model."""

    observed: Observations
    features: tuple[str, ...]
    centre: float
    scale: float
    feature_means: np.ndarray
    """Means of the features over the observed cells: responses are told from there, so that they differ from levels."""
    log_variances: np.ndarray  # (parts + 1,), the last is the noise's; of standardised values
    log_likelihood: float

    def predict(
        self, mixtures: Sequence[Amounts], model: str, languages: Sequence[str]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Expected scores and their covariance for new runs, without the noise of items.

        Returns:
            mean (mixtures * languages,) with languages fastest, covariance of the same size; in the unit of the scores.
            The runs' own noise is not in the covariance: it is about the mean over runs of the mixture.
        """
        new = self._new(mixtures, model, languages)
        across = self._between(new, self._rows)
        half = linalg.solve_triangular(self._lower, across.T, lower=True)
        covariance = self._between(new, new) - half.T @ half
        return self.centre + self.scale * (across @ self._weights), self.scale**2 * covariance

    def predict_mean(self, mixtures: Sequence[Amounts], model: str, languages: Sequence[str]) -> np.ndarray:
        """The means of `predict` alone, (mixtures, languages): what a search asks for."""
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
        """Covariance without runs' own effects and noise."""
        total: np.ndarray = np.zeros((len(one.models), len(other.models)))
        for value, part in zip(np.exp(self.log_variances[:-2]), _kernel_matrices(one, other)[:-1], strict=True):
            total += value * part
        return total

    def _label(self, number: int, amounts: Amounts) -> str:
        """The observed mixture with these amounts, whose own effect is then known, or a new one."""
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
        """Predictions of rows from all others, at this fit's variances: K_aa^-1 from the blocks of K^-1.

        Args:
            left_out: (n,), a label per row; rows of one label are predicted together.
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
        """Standard deviation that each part of the model explains, in the unit of the scores."""
        return {
            name: float(self.scale * np.exp(value / 2))
            for name, value in zip((*COMPONENTS, "noise"), self.log_variances, strict=True)
        }


def _key(amounts: Amounts) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((tag, round(amount)) for tag, amount in amounts.items() if amount > 0))


MIN_LOG_VARIANCE = -14.0
"""Of a log variance: a part that is this small is not there."""
PRIOR_LOG_VARIANCES = np.array([-4.0, -3.2, -3.5, -4.8, -2.0, -2.0, 1.2, -3.4, -0.7, -2.0, -3.6, -5.9, -2.2])
"""Log variances that are expected before anything is seen, of PARTS and noise, for scores about 0 and of size 1: means
over three tasks of `references/post-trainers-guide` (tools/typical_variances.py); -2 for sizes and fertility."""
PRIOR_PRECISION = 0.2
"""Of that expectation: a standard deviation is held to be within a factor of three either way."""
PRIOR_SCALE = 0.15
"""Standard deviation of scores over cells, where there are none."""
MIN_SCALE = 0.03


def fit_transfer_model(
    observed: Observations,
    *,
    features: tuple[str, ...] = FEATURES,
    prior_log_variances: np.ndarray = PRIOR_LOG_VARIANCES,
    prior_precision: float = PRIOR_PRECISION,
    initial_log_variances: np.ndarray | None = None,
    max_iterations: int = 60,
) -> TransferModel:
    """Choose the variances by marginal likelihood and what is prior_log_variances.

    Args:
        observed: any number of cells; without any, what is prior_log_variances is all that is known.
        prior_log_variances: log variances that are expected.
        prior_precision: of them.
        initial_log_variances: log variances to begin with, of an earlier fit.
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
