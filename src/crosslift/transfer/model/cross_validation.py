"""Leave-group-out cross-validation of the transfer model. The groups are whole mixtures or whole languages."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from crosslift.errors import TransferError
from crosslift.languages.similarity import KINDS, similarity
from crosslift.transfer.model.features import FEATURES, FEATURES_WITHOUT_SIMILARITY
from crosslift.transfer.model.gaussian_process import fit_transfer_model
from crosslift.transfer.model.observations import Amounts, Observations

MIN_GROUPS = 4
"""Smallest number of groups for cross-validation."""


@dataclass(frozen=True, kw_only=True)
class CrossValidation:
    """Prediction errors of the transfer model and of two baselines on left-out groups, in the unit of the scores."""

    left_out: str
    """What a group is: "mixture" or "language"."""
    num_groups: int
    rmse_model: float
    """Root mean squared error of the transfer model."""
    rmse_without_similarity: float
    """Root mean squared error of the transfer model without the similarity features."""
    rmse_mean: float
    """Root mean squared error of the mean over the other mixtures, same model and language (or over the other
    languages, same run)."""
    rmse_nearest: float
    """Root mean squared error of the nearest neighbour: the mixture with the most similar amounts (or the most similar
    language of the same run)."""
    error_reduction: tuple[float, float, float]
    """Reduction of the mean squared error relative to the better baseline, with its 95 % limits over groups. Positive
    values favour the model."""
    error_reduction_by_similarity: tuple[float, float, float]
    """Reduction of the mean squared error by the similarity features, with its 95 % limits over groups."""


def cross_validate(observed: Observations, *, left_out: str = "mixture") -> CrossValidation:
    """Leave out each mixture, or each language, in turn.

    The variances are fitted once to all rows, so that one matrix inverse serves all groups. Refitting them for each
    group changes the error by less than a tenth (see the tests).

    Args:
        observed: the cells.
        left_out: "mixture" or "language".

    Raises:
        TransferError: fewer than MIN_GROUPS groups.
    """
    groups = observed.mixtures if left_out == "mixture" else observed.languages
    labels = np.unique(groups)
    if len(labels) < MIN_GROUPS:
        raise TransferError(f"cross-validation needs at least {MIN_GROUPS} {left_out}s; there are {len(labels)}.")
    predicted = {}
    for name, features in (("model", FEATURES), ("without", FEATURES_WITHOUT_SIMILARITY)):
        fitted = fit_transfer_model(observed, features=features)
        predicted[name] = fitted.expected_scores(*fitted.predict_left_out(groups))
    predicted["mean"], predicted["nearest"] = _baselines(observed, left_out)
    errors = {name: (values - observed.values) ** 2 for name, values in predicted.items()}
    known = ~np.isnan(errors["mean"]) & ~np.isnan(errors["nearest"])
    baseline = min(("mean", "nearest"), key=lambda name: float(errors[name][known].mean()))
    return CrossValidation(
        left_out=left_out,
        num_groups=len(labels),
        rmse_model=float(np.sqrt(errors["model"][known].mean())),
        rmse_without_similarity=float(np.sqrt(errors["without"][known].mean())),
        rmse_mean=float(np.sqrt(errors["mean"][known].mean())),
        rmse_nearest=float(np.sqrt(errors["nearest"][known].mean())),
        error_reduction=_error_reduction(errors[baseline], errors["model"], groups, known),
        error_reduction_by_similarity=_error_reduction(errors["without"], errors["model"], groups, known),
    )


def _baselines(observed: Observations, left_out: str) -> tuple[np.ndarray, np.ndarray]:
    """Predictions of the mean and of the nearest neighbour for each row, from other groups; NaN if there are none."""
    mean, nearest = np.full(len(observed.values), np.nan), np.full(len(observed.values), np.nan)
    for row, (model, language, mixture, run) in enumerate(
        zip(observed.models, observed.languages, observed.mixtures, observed.runs, strict=True)
    ):
        if left_out == "mixture":
            same = np.flatnonzero(
                (observed.models == model) & (observed.languages == language) & (observed.mixtures != mixture)
            )
            near = {other: _distance(observed.amounts[mixture], observed.amounts[other], observed.amount_unit)
                    for other in set(observed.mixtures[same])}  # fmt: skip
            far = np.array([near[other] for other in observed.mixtures[same]])
        else:
            same = np.flatnonzero((observed.runs == run) & (observed.languages != language))
            far = -np.mean([similarity(kind, [language], observed.languages[same].tolist()) for kind in KINDS], axis=0)[
                0
            ]
        if len(same):
            mean[row] = observed.values[same].mean()
            nearest[row] = observed.values[same[np.isclose(far, far.min())]].mean()
    return mean, nearest


def _distance(one: Amounts, other: Amounts, amount_unit: float) -> float:
    """Squared Euclidean distance of the log amounts of two mixtures."""
    return float(
        sum(
            (np.log1p(one.get(tag, 0) / amount_unit) - np.log1p(other.get(tag, 0) / amount_unit)) ** 2
            for tag in {*one, *other}
        )
    )


def _error_reduction(
    before: np.ndarray, after: np.ndarray, groups: np.ndarray, known: np.ndarray
) -> tuple[float, float, float]:
    """Mean reduction of the squared error with a t interval over the left-out groups."""
    savings = np.array([(before - after)[known & (groups == label)].mean() for label in np.unique(groups[known])])
    half = stats.t.ppf(0.975, len(savings) - 1) * savings.std(ddof=1) / np.sqrt(len(savings))
    return float(savings.mean()), float(savings.mean() - half), float(savings.mean() + half)
