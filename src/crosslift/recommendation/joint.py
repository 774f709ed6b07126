"""Several evaluations at once: one transfer model each, with the interface of one.

The transfer models are independent of each other given their data. What they predict is labelled "evaluation:language",
in the order of the objective (`objective.JointObjective`). Only runs that have all evaluations are learnt from, so that
amounts mean the same for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from crosslift.recommendation.objective import cell_label, cell_of
from crosslift.transfer.model.observations import Amounts, Observations, content_key
from crosslift.transfer.model.posterior import Latent, TransferModel


@dataclass(frozen=True, kw_only=True)
class JointModel:
    """Transfer models of several evaluations; arguments and results as those of `TransferModel`."""

    parts: Mapping[str, TransferModel]
    """Evaluation -> transfer model. Scores of all have the same range."""

    def predict_mean(self, mixtures: Sequence[Amounts], model: str, languages: Sequence[str]) -> np.ndarray:
        """As `TransferModel.predict_mean`."""
        return self._joined(languages, lambda part, tags: part.predict_mean(mixtures, model, tags))

    def predict_median(self, mixtures: Sequence[Amounts], model: str, languages: Sequence[str]) -> np.ndarray:
        """As `TransferModel.predict_median`."""
        return self._joined(languages, lambda part, tags: part.predict_median(mixtures, model, tags))

    def predict_interval(
        self, mixtures: Sequence[Amounts], model: str, languages: Sequence[str], *, level: float = 0.95
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `TransferModel.predict_interval`."""
        limits = self._joined(
            languages,
            lambda part, tags: np.stack(
                [
                    one.reshape(len(mixtures), len(tags))
                    for one in part.predict_interval(mixtures, model, tags, level=level)
                ]
            ),
        )
        return limits[0].ravel(), limits[1].ravel()

    def draw(
        self,
        mixtures: Sequence[Amounts],
        model: str,
        languages: Sequence[str],
        num_draws: int,
        generator: np.random.Generator,
    ) -> np.ndarray:
        """As `TransferModel.draw`; draws of different evaluations are independent."""
        return self._joined(languages, lambda part, tags: part.draw(mixtures, model, tags, num_draws, generator))

    def predict_latent(self, mixtures: Sequence[Amounts], model: str, languages: Sequence[str]) -> Latent:
        """As `TransferModel.predict_latent`; the covariance between evaluations is 0."""
        num = len(languages)
        mean = np.zeros(len(mixtures) * num)
        covariance = np.zeros((len(mean), len(mean)))
        for part, places, tags in self._split(languages):
            found = part.predict_latent(mixtures, model, tags)
            rows = (np.arange(len(mixtures))[:, None] * num + places).ravel()
            mean[rows] = found.mean
            covariance[np.ix_(rows, rows)] = found.covariance
        return Latent(mean, covariance)

    def slopes(self, latent: Latent) -> np.ndarray:
        """As `TransferModel.slopes`."""
        return next(iter(self.parts.values())).slopes(latent)

    def expected_scores(self, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
        """As `TransferModel.expected_scores`."""
        return next(iter(self.parts.values())).expected_scores(mean, variance)

    @property
    def run_variances(self) -> tuple[float, float]:
        """Means over the evaluations: the effect of a run is taken to be one effect on all of them."""
        run, noise = np.mean([part.run_variances for part in self.parts.values()], axis=0)
        return float(run), float(noise)

    @cached_property
    def observed(self) -> Observations:
        """The observations of all evaluations, with labels as languages and one label for each mixture."""
        first = next(iter(self.parts.values())).observed
        labels: dict[tuple[tuple[str, int], ...], str] = {}
        amounts: dict[str, Amounts] = {}
        mixtures, languages = [], []
        for evaluation, part in self.parts.items():
            renamed = {}
            for label, one in part.observed.amounts.items():
                renamed[label] = labels.setdefault(content_key(one), f"mixture {len(labels)}")
                amounts.setdefault(renamed[label], one)
            mixtures.append(np.array([renamed[label] for label in part.observed.mixtures.tolist()], dtype=str))
            tags = part.observed.languages.tolist()
            languages.append(np.array([cell_label(evaluation, tag) for tag in tags], dtype=str))
        every = [part.observed for part in self.parts.values()]
        return Observations(
            values=np.concatenate([one.values for one in every]),
            runs=np.concatenate([one.runs for one in every]),
            models=np.concatenate([one.models for one in every]),
            languages=np.concatenate(languages),
            mixtures=np.concatenate(mixtures),
            amounts=amounts,
            num_effective=np.concatenate([one.items for one in every]),
            low=first.low,
            high=first.high,
            amount_unit=first.amount_unit,
        )

    def _joined(self, languages: Sequence[str], of: Callable[[TransferModel, list[str]], np.ndarray]) -> np.ndarray:
        """Results of the parts, whose last axis is the languages, as one array in the order of the labels."""
        found: list[tuple[np.ndarray, np.ndarray]] = [
            (places, of(part, tags)) for part, places, tags in self._split(languages)
        ]
        joined = np.empty((*found[0][1].shape[:-1], len(languages)))
        for places, values in found:
            joined[..., places] = values
        return joined

    def _split(self, languages: Sequence[str]) -> Iterator[tuple[TransferModel, np.ndarray, list[str]]]:
        """Each transfer model with the places and tags of its labels."""
        for evaluation, part in self.parts.items():
            cells = [cell_of(label) for label in languages]
            places = [place for place, (name, _) in enumerate(cells) if name == evaluation]
            if places:
                yield part, np.array(places), [cells[place][1] for place in places]


AnyModel = TransferModel | JointModel
"""A transfer model of one evaluation or of several."""
