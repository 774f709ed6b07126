"""Simulated scores from a model with known effects of items, languages, runs and mixtures.

An answer is correct if a latent normal variable is positive:

    mu + effect[mixture] + language + item + item x language + item x mixture + run + item x run + noise

All terms except mu and the effects are normal with mean 0. The true accuracy of a mixture over all items and seeds is
therefore Phi((mu + effect) / sqrt(sum of variances)) in closed form.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr


@dataclass(frozen=True, kw_only=True)
class SimulationTruth:
    """Intercept `mu` and standard deviations of the latent terms, all in the unit of the latent variable."""

    mu: float = 0.2
    language: float = 0.3
    item: float = 1.0
    item_language: float = 0.3
    item_mixture: float = 0.15
    run: float = 0.08
    item_run: float = 0.2
    noise: float = 0.45

    def accuracy(self, effect: float, languages: np.ndarray) -> float:
        """True accuracy over items and seeds, averaged over languages.

        Args:
            effect: latent effect of the mixture.
            languages: latent language effects, shape (languages,).
        """
        spread = np.sqrt(
            self.item**2 + self.item_language**2 + self.item_mixture**2 + self.run**2 + self.item_run**2 + self.noise**2
        )
        return float(ndtr((self.mu + effect + languages) / spread).mean())

    def accuracy_of_runs(self, effect: float, languages: np.ndarray, runs: np.ndarray) -> float:
        """True accuracy over items of given runs, averaged over runs and languages.

        Args:
            effect: latent effect of the mixture.
            languages: latent language effects, shape (languages,).
            runs: latent run effects, shape (runs,).
        """
        spread = np.sqrt(self.item**2 + self.item_language**2 + self.item_mixture**2 + self.item_run**2 + self.noise**2)
        return float(ndtr((self.mu + effect + languages[None, :] + runs[:, None]) / spread).mean())


@dataclass(frozen=True, kw_only=True)
class SimulatedStudy:
    """Scores of a simulated study with their latent effects."""

    correct: np.ndarray
    """1 for correct answers, else 0; shape (conditions, seeds, languages, items)."""
    languages: np.ndarray
    """Latent language effects, shape (languages,)."""
    runs: np.ndarray
    """Latent run effects, shape (conditions, seeds)."""


def simulate(
    truth: SimulationTruth,
    effects: np.ndarray,
    *,
    num_seeds: int,
    languages: np.ndarray,
    num_items: int,
    generator: np.random.Generator,
) -> SimulatedStudy:
    """Simulate the scores of one study.

    Args:
        truth: standard deviations of the latent terms.
        effects: latent effects of the mixtures, shape (conditions,).
        num_seeds: runs per condition.
        languages: latent language effects, shape (languages,). They are fixed effects: languages are not a random
            sample.
        num_items: items per language.
        generator: source of the random numbers.
    """
    shape = (len(effects), num_seeds, len(languages), num_items)

    def part(deviation: float, *axes: int) -> np.ndarray:
        sizes = [size if axis in axes else 1 for axis, size in enumerate(shape)]
        return deviation * generator.standard_normal(sizes)

    runs = part(truth.run, 0, 1)
    latent = (
        truth.mu
        + effects[:, None, None, None]
        + languages[None, None, :, None]
        + part(truth.item, 3)
        + part(truth.item_language, 2, 3)
        + part(truth.item_mixture, 0, 3)
        + runs
        + part(truth.item_run, 0, 1, 3)
        + part(truth.noise, 0, 1, 2, 3)
    )
    return SimulatedStudy(correct=(latent > 0).astype(np.float64), languages=languages, runs=runs[:, :, 0, 0])


def discordance(correct: np.ndarray) -> float:
    """Share of samples that exactly one of two runs answers correctly, for the first runs of the first two conditions.

    Args:
        correct: shape (conditions, seeds, languages, items), 0 or 1.
    """
    first, second = correct[0, 0], correct[1, 0]
    return float((first != second).mean())
