"""Covariance of the transfer model: a sum of kernels, one per component."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crosslift.languages.similarity import KINDS, facts, similarity
from crosslift.transfer.model.features import features_of, presence
from crosslift.transfer.model.observations import Amounts, Observations

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
    "mixture(model)",
    "mixture(language)",
    "mixture(model, language)",
    "cell",
    "run",
    "noise",
)
"""Names of the kernels, see `gaussian_process`. The last two are of a run and not of its mixture."""
NUM_OF_RUNS = 2
"""Number of COMPONENTS, the last ones, that are of a run."""


CENTRE_VARIANCE = 0.25
"""Variance of the common level of all cells around the mean of the observed ones."""
LENGTH_SCALE = 2.0
"""Distance of log amounts at which the correlation of what the features do not explain has fallen to 1 / e."""


@dataclass(frozen=True, kw_only=True)
class KernelInputs:
    """What the kernels see of some cells; arrays of shape (n,) unless stated otherwise."""

    features: np.ndarray
    """Centred features of the mixtures for the evaluation languages, shape (n, features)."""
    models: np.ndarray
    languages: np.ndarray
    runs: np.ndarray
    sizes: np.ndarray
    fertility: np.ndarray
    mixtures: np.ndarray
    """Positions in `contents`."""
    contents: tuple[Amounts, ...]
    """Amounts of each mixture."""
    amount_unit: float


def observed_inputs(observed: Observations, names: tuple[str, ...], feature_means: np.ndarray) -> KernelInputs:
    """Inputs of the observed cells."""
    labels, places = np.unique(observed.mixtures, return_inverse=True)
    return KernelInputs(
        features=observed_features(observed, names) - feature_means,
        models=observed.models,
        languages=observed.languages,
        runs=observed.runs,
        sizes=_sizes(observed, observed.models),
        fertility=_fertility(observed, observed.models, observed.languages),
        mixtures=places,
        contents=tuple(observed.amounts[label] for label in labels.tolist()),
        amount_unit=observed.amount_unit,
    )


def new_inputs(
    observed: Observations,
    names: tuple[str, ...],
    feature_means: np.ndarray,
    *,
    mixtures: Sequence[Amounts],
    model: str,
    languages: Sequence[str],
) -> KernelInputs:
    """Inputs of new runs of a model on mixtures, languages as the fastest index."""
    num, tags = len(mixtures), np.asarray(languages)
    features = features_of(mixtures, languages, names, amount_unit=observed.amount_unit)
    models = np.repeat(model, num * len(tags))
    return KernelInputs(
        features=features.reshape(num * len(tags), len(names)) - feature_means,
        models=models,
        languages=np.tile(tags, num),
        runs=np.repeat([f"new {number}" for number in range(num)], len(tags)),
        sizes=_sizes(observed, models),
        fertility=np.tile(_fertility(observed, models[: len(tags)], tags), num),
        mixtures=np.repeat(np.arange(num), len(tags)),
        contents=tuple(mixtures),
        amount_unit=observed.amount_unit,
    )


def observed_features(observed: Observations, names: Sequence[str]) -> np.ndarray:
    """Features of the observed cells, shape (n, features)."""
    tags, languages = np.unique(observed.languages, return_inverse=True)
    labels, mixtures = np.unique(observed.mixtures, return_inverse=True)
    contents = [observed.amounts[label] for label in labels.tolist()]
    return features_of(contents, tags.tolist(), names, amount_unit=observed.amount_unit)[mixtures, languages]


def kernel_matrices(one: KernelInputs, other: KernelInputs, *, of_runs: bool) -> Iterator[np.ndarray]:
    """Kernel matrices with variance 1.

    Half of `language` is shared by similarity. The kernels of mixtures fall with the distance of their amounts.

    Args:
        one: n cells.
        other: m cells.
        of_runs: whether to include the kernels of runs.

    Yields:
        Shape (n, m) each, in the order of COMPONENTS.
    """
    tags, others = sorted(set(one.languages)), sorted(set(other.languages))
    alike = np.mean([similarity(kind, tags, others) for kind in KINDS], axis=0).reshape(len(tags), len(others))
    language = alike[np.searchsorted(tags, one.languages)][:, np.searchsorted(others, other.languages)]
    same_language = (one.languages[:, None] == other.languages[None, :]).astype(float)
    same_model = (one.models[:, None] == other.models[None, :]).astype(float)
    sizes = np.outer(one.sizes, other.sizes)
    response = one.features @ other.features.T / one.features.shape[1]
    near = _near(one, other)[one.mixtures][:, other.mixtures]
    same_cell = same_model * same_language
    yield same_cell
    yield same_model
    yield language * 0.5 + same_language * 0.5
    yield np.outer(_resource(one.languages), _resource(other.languages))
    yield sizes
    yield np.outer(one.fertility, other.fertility)
    yield response
    yield response * same_model
    yield response * same_language
    yield response * sizes
    yield near
    yield near * same_model
    yield near * same_language
    yield near * same_cell
    yield (near > 1 - 1e-6) * same_cell
    if of_runs:
        same_run = (one.runs[:, None] == other.runs[None, :]).astype(float)
        yield same_run
        yield same_run * same_language


def kernel_diagonals(one: KernelInputs) -> Iterator[np.ndarray]:
    """Diagonals of the kernel matrices of some cells with themselves, without the kernels of runs.

    Yields:
        Shape (n,) each, in the order of COMPONENTS.
    """
    same = np.ones(len(one.models))
    response = (one.features**2).mean(axis=1)
    yield from (same, same, same, _resource(one.languages) ** 2, one.sizes**2, one.fertility**2)
    yield from (response, response, response, response * one.sizes**2)
    yield from (same, same, same, same, same)


def latent_variances(log_variances: np.ndarray, scale: float) -> np.ndarray:
    """Variances of the kernels for latent values; those of runs are not relative to the scale."""
    variances: np.ndarray = np.exp(log_variances)
    variances[:-NUM_OF_RUNS] *= scale**2
    return variances


def weighted_sum(variances: np.ndarray, parts: Iterable[np.ndarray]) -> np.ndarray:
    """Sum of the kernels with their variances; one matrix at a time, because new cells can be many."""
    total: Any = CENTRE_VARIANCE
    for variance, part in zip(variances, parts, strict=True):
        total = total + variance * part
    return np.asarray(total)


def _near(one: KernelInputs, other: KernelInputs) -> np.ndarray:
    """exp(-d / LENGTH_SCALE) with the Euclidean distance d of the log amounts and presences of the languages of two
    mixtures, shape (mixtures, mixtures).

    It is the rough member of the Matern family: what the features of a mixture do not explain changes from one mixture
    to the next, and is shared mostly with mixtures of similar amounts.
    """
    tags = sorted({tag for amounts in (*one.contents, *other.contents) for tag in amounts})
    rows, columns = (_held(inputs.contents, tags, one.amount_unit) for inputs in (one, other))
    squares = ((rows[:, None, :] - columns[None, :, :]) ** 2).sum(axis=2)
    return np.asarray(np.exp(-np.sqrt(squares) / LENGTH_SCALE))


def _held(contents: Sequence[Amounts], tags: Sequence[str], amount_unit: float) -> np.ndarray:
    """Log amounts and presences of the languages, shape (mixtures, 2 * languages)."""
    relative = np.array([[amounts.get(tag, 0.0) for tag in tags] for amounts in contents]) / amount_unit
    relative = relative.reshape(len(contents), len(tags))
    return np.concatenate([np.log1p(relative), presence(relative)], axis=1)


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


def _resource(languages: np.ndarray) -> np.ndarray:
    """Standardised resource class (0 to 5) of each row's language."""
    return np.array([(facts(tag).resource_class - 2.5) / 2 for tag in languages.tolist()], dtype=float)
