"""Covariance of the transfer model: a sum of kernels, one per component."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crosslift.languages.similarity import KINDS, facts, similarity
from crosslift.transfer.model.features import features_of
from crosslift.transfer.model.observations import Observations

COMPONENTS = (
    "level",
    "model",
    "language",
    "resource",
    "size",
    "fertility",
    "response",
    "response(model)",
    "response(language)",
    "response(size)",
    "mixture",
    "run",
)
"""Names of the kernels, see `gaussian_process`."""


@dataclass(frozen=True, kw_only=True)
class _KernelInputs:
    features: np.ndarray
    models: np.ndarray
    languages: np.ndarray
    mixtures: np.ndarray
    runs: np.ndarray
    sizes: np.ndarray
    fertility: np.ndarray


def _kernel_inputs(observed: Observations, names: tuple[str, ...], feature_means: np.ndarray) -> _KernelInputs:
    return _KernelInputs(
        features=_all_features(observed, names) - feature_means,
        models=observed.models,
        languages=observed.languages,
        mixtures=observed.mixtures,
        runs=observed.runs,
        sizes=_sizes(observed, observed.models),
        fertility=_fertility(observed, observed.models, observed.languages),
    )


def _sizes(observed: Observations, models: np.ndarray) -> np.ndarray:
    """Standardised log sizes; 0 if the size is unknown."""
    return _standard(observed.sizes, [str(model) for model in models])


def _fertility(observed: Observations, models: np.ndarray, languages: np.ndarray) -> np.ndarray:
    keys = [(str(model), str(tag)) for model, tag in zip(models, languages, strict=True)]
    return _standard(observed.fertility, keys)


def _standard(known: Mapping[Any, float], keys: Sequence[Any]) -> np.ndarray:
    values = np.array(list(known.values()))
    if len(values) < 2 or values.std() == 0:
        return np.zeros(len(keys))
    return np.array([(known[key] - values.mean()) / values.std() if key in known else 0.0 for key in keys])


def _all_features(observed: Observations, names: Sequence[str]) -> np.ndarray:
    tags = sorted(set(observed.languages))
    place = {tag: number for number, tag in enumerate(tags)}
    table = {mixture: features_of(observed.amounts[mixture], tags, names) for mixture in set(observed.mixtures)}
    found = [table[mixture][place[tag]] for mixture, tag in zip(observed.mixtures, observed.languages, strict=True)]
    return np.reshape(found, (len(found), len(names)))


def _kernel_matrices(one: _KernelInputs, other: _KernelInputs) -> list[np.ndarray]:
    """Kernel matrices with variance 1, in the order of COMPONENTS. Half of `language` is shared by similarity."""
    tags, others = sorted(set(one.languages)), sorted(set(other.languages))
    alike = np.mean([similarity(kind, tags, others) for kind in KINDS], axis=0).reshape(len(tags), len(others))
    language = alike[np.searchsorted(tags, one.languages)][:, np.searchsorted(others, other.languages)]
    same_language = (one.languages[:, None] == other.languages[None, :]).astype(float)
    same_model = (one.models[:, None] == other.models[None, :]).astype(float)
    sizes = np.outer(one.sizes, other.sizes)
    response = one.features @ other.features.T / one.features.shape[1]
    return [
        same_model * same_language,
        same_model,
        language * 0.5 + same_language * 0.5,
        np.outer(_resource(one.languages), _resource(other.languages)),
        sizes,
        np.outer(one.fertility, other.fertility),
        response,
        response * same_model,
        response * same_language,
        response * sizes,
        (one.mixtures[:, None] == other.mixtures[None, :]).astype(float),
        (one.runs[:, None] == other.runs[None, :]).astype(float),
    ]


def _resource(languages: np.ndarray) -> np.ndarray:
    """Standardised resource class (0 to 5) of each row's language."""
    return np.array([(facts(tag).resource_class - 2.5) / 2 for tag in languages.tolist()], dtype=float)


def _covariance(parts: Sequence[np.ndarray], log_variances: np.ndarray) -> np.ndarray:
    total: np.ndarray = np.exp(log_variances[-1]) * np.eye(len(parts[0]))
    for value, part in zip(np.exp(log_variances[:-1]), parts, strict=True):
        total += value * part
    return total
