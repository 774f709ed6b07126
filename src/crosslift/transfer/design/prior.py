"""Prior of the transfer model for runs that do not exist yet, as the input of optimal designs.

`candidates`, for a pilot that is written to a study file once, is the prior of the transfer model as it is.
`exchangeable_candidates` expands families whenever a study file is read, so that a later improvement of the model must
not change the design of a study that is under way: its variances are a copy of earlier ones of the model, and it knows
nothing about languages but whether two are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from crosslift.transfer.design.optimal import Candidates
from crosslift.transfer.model.features import FEATURES
from crosslift.transfer.model.gaussian_process import PRIOR_LOG_VARIANCES, PRIOR_SCALE
from crosslift.transfer.model.kernels import (
    CENTRE_VARIANCE,
    COMPONENTS,
    NUM_OF_RUNS,
    kernel_matrices,
    latent_variances,
    observed_features,
    observed_inputs,
    weighted_sum,
)
from crosslift.transfer.model.observations import AMOUNT_UNIT, Amounts, Observations

LOG_VARIANCES = np.array(
    [-3.4, -3.5, -3.6, -3.8, -2.0, -2.0, 1.1, -3.4, -3.7, -2.0, -2.4, -3.9, -1.7, -6.6, -3.1, -5.9, -4.6]
)
"""Log variances of the kernels of `exchangeable_candidates` and of the noise, in the order of COMPONENTS."""
SCALE = 0.4
"""Standard deviation of latent scores over cells."""
NUM_ITEMS = 100
"""Default number of items behind a score."""


def noise_of_runs(num_languages: int, *, num_items: float = NUM_ITEMS) -> np.ndarray:
    """Covariance of the noise of one run between its languages: the run's, the language's and the items'.

    The noise of the items is that of a score of one half, p (1 - p) / (n phi^2) with p = 1/2 and phi = 0.399.

    Args:
        num_languages: number of evaluation languages.
        num_items: effective number of items behind a score.

    Returns:
        Shape (languages, languages), on the scale of latent scores.
    """
    of_run, of_language = np.exp(LOG_VARIANCES[-NUM_OF_RUNS:])
    of_items = 0.5 * np.pi / num_items
    return np.asarray(
        of_run * np.ones((num_languages, num_languages)) + (of_language + of_items) * np.eye(num_languages)
    )


def candidates(
    runs: Sequence[tuple[str, Amounts]],
    languages: Sequence[str],
    *,
    num_items: float = NUM_ITEMS,
    sizes: Mapping[str, float] | None = None,
    amount_unit: float = AMOUNT_UNIT,
) -> Candidates:
    """Prior of runs under the transfer model.

    Args:
        runs: (model, amount of each training language) of each candidate.
        languages: tags of the evaluation languages.
        num_items: effective number of items behind a score.
        sizes: model -> log10 of its number of parameters, where known.
        amount_unit: see `Observations.amount_unit`.

    Returns:
        The candidates. Features are centred over them.

    Raises:
        UnknownName: a language that is not in the table of language facts.
    """
    num, tags = len(runs), np.asarray(languages, dtype=str)
    names = np.repeat([f"run {place}" for place in range(num)], len(tags))
    cells = Observations(
        values=np.zeros(num * len(tags)),
        runs=names,
        models=np.repeat(np.asarray([model for model, _ in runs], dtype=str), len(tags)),
        languages=np.tile(tags, num),
        mixtures=names,
        amounts={f"run {place}": amounts for place, (_, amounts) in enumerate(runs)},
        sizes=dict(sizes or {}),
        amount_unit=amount_unit,
    )
    rows = observed_inputs(cells, FEATURES, observed_features(cells, FEATURES).mean(axis=0))
    variances = latent_variances(PRIOR_LOG_VARIANCES, PRIOR_SCALE)[:-NUM_OF_RUNS]
    return Candidates(
        covariance=weighted_sum(variances, kernel_matrices(rows, rows, of_runs=False)),
        noise=noise_of_runs(len(tags), num_items=num_items),
    )


def exchangeable_candidates(
    amounts: np.ndarray, *, num_items: float = NUM_ITEMS, amount_unit: float = AMOUNT_UNIT
) -> Candidates:
    """Prior of runs of one model for languages that are alike: the transfer model without facts about languages.

    The evaluation languages are the training languages. Responses are to the language's own amount and to the total.

    Args:
        amounts: amount of each language in each candidate, shape (candidates, languages).
        num_items: effective number of items behind a score.
        amount_unit: see `Observations.amount_unit`.

    Returns:
        The candidates. Features are centred over them.
    """
    variances = dict(zip(COMPONENTS, latent_variances(LOG_VARIANCES, SCALE), strict=True))
    num, num_languages = amounts.shape
    logs = np.log1p(amounts / amount_unit)
    total = np.log1p(amounts.sum(axis=1) / amount_unit)
    features = np.stack([logs.ravel(), np.repeat(total, num_languages)], axis=1)
    features = features - features.mean(axis=0)
    same_language = np.tile(np.eye(num_languages), (num, num))
    distances = np.sqrt(((logs[:, None, :] - logs[None, :, :]) ** 2).sum(axis=2))
    near = np.repeat(np.repeat(np.exp(-distances), num_languages, axis=0), num_languages, axis=1)
    same_mixture = np.kron(np.eye(num), np.ones((num_languages, num_languages)))
    response = features @ features.T / features.shape[1]

    def of(*names: str) -> float:
        return float(sum(variances[name] for name in names))

    covariance = (
        CENTRE_VARIANCE
        + of("model")
        + of("level", "language") * same_language
        + response * (of("response", "response(model)") + of("response(language)") * same_language)
        + near * (of("mixture", "mixture(model)") + of("mixture(language)", "mixture(model, language)") * same_language)
        + of("cell") * same_mixture * same_language
    )
    return Candidates(covariance=covariance, noise=noise_of_runs(num_languages, num_items=num_items))
