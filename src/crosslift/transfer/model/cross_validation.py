"""May the transfer model be believed? Whole mixtures and whole languages are left out, never random rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from crosslift.errors import TransferError
from crosslift.languages.similarity import KINDS, similarity
from crosslift.transfer.model.features import AMOUNT_UNIT, FEATURES, FEATURES_WITHOUT_SIMILARITY
from crosslift.transfer.model.gaussian_process import fit_transfer_model
from crosslift.transfer.model.observations import Amounts, Observations

MIN_GROUPS = 4
"""Groups that can be left out one by one."""


@dataclass(frozen=True, kw_only=True)
class CrossValidation:
    """Root mean squared errors where whole groups were left out, in the unit of the scores."""

    left_out: str
    """"mixture" or "language"."""
    num_groups: int
    rmse_model: float
    rmse_without_similarity: float
    rmse_mean: float
    """Of the other mixtures, same model and language (or other languages, same run)."""
    rmse_nearest: float
    """The mixture with the nearest amounts (or the most similar language of the same run)."""
    error_reduction: tuple[float, float, float]
    """Mean squared error saved against the better baseline, with a 95 % interval over groups left out: above 0, the
    model is worth having."""
    error_reduction_by_similarity: tuple[float, float, float]
    """Mean squared error saved by similarity, likewise."""


def cross_validate(observed: Observations, *, left_out: str = "mixture") -> CrossValidation:
    """Leave out one mixture, or one language, after the other.

    The variances, thirteen numbers, are those of all rows, so that one inverse serves all groups; choosing them
    anew for each group changes the error by little (a test holds it to a tenth).

    Raises:
        TransferError: fewer than LEAST groups.
    """
    groups = observed.mixtures if left_out == "mixture" else observed.languages
    labels = np.unique(groups)
    if len(labels) < MIN_GROUPS:
        raise TransferError(f"{len(labels)} {left_out}s cannot be left out one by one. {MIN_GROUPS} are the least.")
    predicted = {
        name: fit_transfer_model(observed, features=features).predict_left_out(groups)
        for name, features in (("model", FEATURES), ("without", FEATURES_WITHOUT_SIMILARITY))
    }
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
    """The mean of what is alike in other groups, and the nearest of it, for each row; NaN where there is none."""
    mean, nearest = np.full(len(observed.values), np.nan), np.full(len(observed.values), np.nan)
    for row, (model, language, mixture, run) in enumerate(
        zip(observed.models, observed.languages, observed.mixtures, observed.runs, strict=True)
    ):
        if left_out == "mixture":
            same = np.flatnonzero(
                (observed.models == model) & (observed.languages == language) & (observed.mixtures != mixture)
            )
            near = {other: _distance(observed.amounts[mixture], observed.amounts[other])
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


def _distance(one: Amounts, other: Amounts) -> float:
    return float(
        sum(
            (np.log1p(one.get(tag, 0) / AMOUNT_UNIT) - np.log1p(other.get(tag, 0) / AMOUNT_UNIT)) ** 2
            for tag in {*one, *other}
        )
    )


def _error_reduction(
    before: np.ndarray, after: np.ndarray, groups: np.ndarray, known: np.ndarray
) -> tuple[float, float, float]:
    """Mean saving of squared error with a t interval over the groups that were left out."""
    savings = np.array([(before - after)[known & (groups == label)].mean() for label in np.unique(groups[known])])
    half = stats.t.ppf(0.975, len(savings) - 1) * savings.std(ddof=1) / np.sqrt(len(savings))
    return float(savings.mean()), float(savings.mean() - half), float(savings.mean() + half)
