"""Studies whose truth is known: scores from a model with planted effects of items, languages, runs and mixtures.

A sample is right where a latent normal variable is above 0:

    mu + effect[mixture] + language + item + item x language + item x mixture + run + item x run + noise

All parts but mu and the effects are normal with mean 0, so that the true accuracy of a mixture over all items and seeds
is Phi((mu + effect) / sqrt(sum of variances)), with no simulation needed to know it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr


@dataclass(frozen=True, kw_only=True)
class SimulationTruth:
    """Standard deviations of the latent parts; the noise's is `noise`."""

    mu: float = 0.2
    language: float = 0.3
    item: float = 1.0
    item_language: float = 0.3
    item_mixture: float = 0.15
    run: float = 0.08
    item_run: float = 0.2
    noise: float = 0.45

    def accuracy(self, effect: float, languages: np.ndarray) -> float:
        """Expected share of right answers, mean over these languages' latent levels."""
        spread = np.sqrt(
            self.item**2 + self.item_language**2 + self.item_mixture**2 + self.run**2 + self.item_run**2 + self.noise**2
        )
        return float(ndtr((self.mu + effect + languages) / spread).mean())

    def accuracy_of_runs(self, effect: float, languages: np.ndarray, runs: np.ndarray) -> float:
        """The same for runs whose own levels are given: what their mean would be over all items."""
        spread = np.sqrt(self.item**2 + self.item_language**2 + self.item_mixture**2 + self.item_run**2 + self.noise**2)
        return float(ndtr((self.mu + effect + languages[None, :] + runs[:, None]) / spread).mean())


@dataclass(frozen=True, kw_only=True)
class SimulatedStudy:
    correct: np.ndarray  # (conditions, seeds, languages, items), 0 or 1
    languages: np.ndarray  # (languages,) latent levels
    runs: np.ndarray  # (conditions, seeds) latent levels


def simulate(
    truth: SimulationTruth,
    effects: np.ndarray,
    *,
    num_seeds: int,
    languages: np.ndarray,
    num_items: int,
    generator: np.random.Generator,
) -> SimulatedStudy:
    """Scores of one study.

    Args:
        effects: (conditions,) latent.
        languages: (languages,) latent levels, held from study to study: languages are chosen, not drawn.
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
    """Share of samples that exactly one of two runs gets right, mean over pairs of runs of different conditions."""
    first, second = correct[0, 0], correct[1, 0]
    return float((first != second).mean())
