"""A fitted transfer model: posterior of scores for observed and for new mixtures (see `gaussian_process`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy import linalg
from scipy.special import ndtri

from crosslift.transfer.model.kernels import (
    COMPONENTS,
    NUM_OF_RUNS,
    KernelInputs,
    kernel_diagonals,
    kernel_matrices,
    latent_variances,
    new_inputs,
    observed_inputs,
    weighted_sum,
)
from crosslift.transfer.model.link import expected_share, expected_slope, to_share
from crosslift.transfer.model.observations import Amounts, Observations

UNEXPLAINED = "unexplained"
"""What the features of a mixture do not explain, in `TransferModel.difference_by_term`."""


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
    coefficients: np.ndarray
    """Prior means of the coefficients of the features, in latent values per unit of a feature, shape (features,)."""
    responses: np.ndarray
    """Working responses of the observed cells minus their prior means, shape (n,)."""
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
        new = self._new(mixtures, model, languages)
        across = self._between(new, self._rows)
        half = linalg.solve_triangular(self._lower, across.T, lower=True)
        variance = weighted_sum(self._variances[:-NUM_OF_RUNS], kernel_diagonals(new)) - (half**2).sum(axis=0)
        mean = self._prior_means(new) + across @ self._weights
        return self.expected_scores(mean, np.maximum(variance, 0.0)).reshape(len(mixtures), len(languages))

    def predict_interval(
        self, mixtures: Sequence[Amounts], model: str, languages: Sequence[str], *, level: float = 0.95
    ) -> tuple[np.ndarray, np.ndarray]:
        """Credible limits of scores; arguments and order as for `predict`.

        Returns:
            Lower and upper limits, in the unit of the scores and within the metric's range.
        """
        latent = self.predict_latent(mixtures, model, languages)
        margin = ndtri((1 + level) / 2) * np.sqrt(np.maximum(np.diag(latent.covariance), 0.0))
        return self._scores(to_share(latent.mean - margin)), self._scores(to_share(latent.mean + margin))

    def predict_latent(self, mixtures: Sequence[Amounts], model: str, languages: Sequence[str]) -> Latent:
        """Posterior of the latent values for new runs; arguments and order as for `predict`."""
        new = self._new(mixtures, model, languages)
        across = self._between(new, self._rows)
        half = linalg.solve_triangular(self._lower, across.T, lower=True)
        return Latent(self._prior_means(new) + across @ self._weights, self._between(new, new) - half.T @ half)

    def predict_median(self, mixtures: Sequence[Amounts], model: str, languages: Sequence[str]) -> np.ndarray:
        """Posterior medians of the scores, without their covariance.

        Returns:
            Shape (mixtures, languages), in the unit of the scores.
        """
        new = self._new(mixtures, model, languages)
        latent = self._prior_means(new) + self._between(new, self._rows) @ self._weights
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
        return self._prior_means(self._rows) + mean, np.maximum(variance, 0.0)

    def difference_by_term(
        self, mixture: Amounts, other: Amounts, model: str, languages: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """Expected difference of the scores of two mixtures, to first order, by the terms of the model.

        A response is linear in the features, so that its posterior mean is a sum over them. What the features do not
        explain is in the kernels of mixtures; all other kernels are equal for both mixtures.

        Returns:
            Name of a feature, or UNEXPLAINED -> differences per language, shape (languages,), in the unit of the
            scores.
        """
        new, rows = self._new([mixture, other], model, languages), self._rows
        num = len(languages)
        found: dict[str, np.ndarray] = {}
        for place, name in enumerate(self.features):
            alone, known = (replace(one, features=one.features[:, [place]]) for one in (new, rows))
            part = self._part(alone, known, "response") / len(self.features)
            part = part + alone.features[:, 0] * self.coefficients[place]
            found[name] = part[:num] - part[num:]
        part = self._part(new, rows, "mixture", "cell")
        found[UNEXPLAINED] = part[:num] - part[num:]
        latents = self.predict_latent([mixture, other], model, languages)
        slopes = self.slopes(latents).reshape(2, num).mean(axis=0)
        return {name: slopes * one for name, one in found.items()}

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

    def _prior_means(self, inputs: KernelInputs) -> np.ndarray:
        """Prior means of latent values: the mean of the observed ones, and the expected response to the features."""
        return np.asarray(self.centre + inputs.features @ self.coefficients)

    def _part(self, new: KernelInputs, rows: KernelInputs, *kernels: str) -> np.ndarray:
        """The part of the latent posterior means of new cells that comes from the kernels with these names."""
        matrices = zip(COMPONENTS, self._variances, kernel_matrices(new, rows, of_runs=False), strict=False)
        found = [variance * matrix @ self._weights for name, variance, matrix in matrices if name.startswith(kernels)]
        return np.asarray(np.sum(found, axis=0))

    @property
    def _range(self) -> float:
        return self.observed.high - self.observed.low

    def _scores(self, shares: np.ndarray) -> np.ndarray:
        return np.asarray(self.observed.low + self._range * shares)

    def _new(self, mixtures: Sequence[Amounts], model: str, languages: Sequence[str]) -> KernelInputs:
        return new_inputs(
            self.observed, self.features, self.feature_means, mixtures=mixtures, model=model, languages=languages
        )

    def _between(self, one: KernelInputs, other: KernelInputs) -> np.ndarray:
        """Covariance without effects of runs."""
        return weighted_sum(self._variances[:-NUM_OF_RUNS], kernel_matrices(one, other, of_runs=False))

    @cached_property
    def _variances(self) -> np.ndarray:
        return latent_variances(self.log_variances, self.scale)

    @cached_property
    def _rows(self) -> KernelInputs:
        return observed_inputs(self.observed, self.features, self.feature_means)

    @cached_property
    def _lower(self) -> np.ndarray:
        covariance = weighted_sum(self._variances, kernel_matrices(self._rows, self._rows, of_runs=True))
        return np.asarray(linalg.cholesky(covariance + np.diag(self.response_variances), lower=True))

    @cached_property
    def _weights(self) -> np.ndarray:
        return np.asarray(linalg.cho_solve((self._lower, True), self.responses))
