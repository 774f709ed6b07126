"""Models that predict measured scores: each gives the probability of every bin of scores, for every cell.

transfer model      the Gaussian process of crosslift.transfer.model
mixing law          regression on the probit scale: levels of models and languages, saturating responses with one
                    saturation per language and slopes shared by all, as mixing laws for pretraining use; normal errors
radial basis        scipy's RBFInterpolator on the same features, with conformal intervals from cross-validated errors
forest              scikit-learn's ExtraTreesRegressor on the same features and the log amount of each training
                    language, with the same conformal intervals; only where scikit-learn is installed
mixture mean        mean of the mixture's other cells
model x language    mean of the model's other mixtures in the language
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence

import numpy as np
from scipy import interpolate, stats
from scipy.special import ndtr, ndtri

from crosslift.transfer.model.features import FEATURES
from crosslift.transfer.model.gaussian_process import PRIOR_LOG_VARIANCES, fit_transfer_model
from crosslift.transfer.model.kernels import observed_features
from crosslift.transfer.model.link import to_latent
from crosslift.transfer.model.observations import Observations
from crosslift.transfer.model.posterior import TransferModel

EDGES = np.concatenate([[-np.inf], np.arange(0.0025, 1.0, 0.005), [np.inf]])
"""Edges of the bins, half a point wide; everything below 0 counts for the first and above 1 for the last."""
Predictor = Callable[[Observations, Observations, str], tuple[np.ndarray, np.ndarray]]
"""(what is known, cells to predict, kind of inner groups) -> probabilities (cells, bins) and expected scores (cells,).
Only the values of the cells to predict are not used."""


def transfer_model(
    known: Observations, wanted: Observations, left_out: str, *, prior: Sequence[float] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    fitted = fit_transfer_model(known, prior_log_variances=PRIOR_LOG_VARIANCES if prior is None else np.array(prior))
    mean, variance = latent_of(fitted, wanted)
    expected = fitted.expected_scores(mean, variance)
    return measured_bins(mean, variance + sum(fitted.run_variances), wanted.items), expected


def latent_of(fitted: TransferModel, wanted: Observations) -> tuple[np.ndarray, np.ndarray]:
    """Means and variances of latent values of the cells, without effects of runs."""
    mean, variance = np.empty(len(wanted.values)), np.empty(len(wanted.values))
    for model in np.unique(wanted.models):
        rows = np.flatnonzero(wanted.models == model)
        labels, tags = np.unique(wanted.mixtures[rows]).tolist(), np.unique(wanted.languages[rows]).tolist()
        found = fitted.predict_latent([wanted.amounts[label] for label in labels], model, tags)
        places = np.searchsorted(labels, wanted.mixtures[rows]) * len(tags) + np.searchsorted(
            tags, wanted.languages[rows]
        )
        mean[rows], variance[rows] = found.mean[places], np.diag(found.covariance)[places]
    return mean, np.maximum(variance, 0)


def measured_bins(mean: np.ndarray, variance: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Bins of measured scores: a normal latent value, and a beta distribution of the measurement around its share.

    Integrated over a grid of latent values that is fine enough for a beta distribution of thousands of items.
    """
    grid = np.linspace(-4.5, 4.5, 721)
    middle = np.concatenate([[-np.inf], (grid[1:] + grid[:-1]) / 2, [np.inf]])
    weights = np.diff(ndtr((middle[None, :] - mean[:, None]) / np.sqrt(np.maximum(variance, 1e-8))[:, None]), axis=1)
    share = ndtr(grid).clip(1e-4, 1 - 1e-4)
    bins = np.empty((len(mean), len(EDGES) - 1))
    rounded = np.round(np.minimum(items, 20_000), -1).clip(10)
    for number in np.unique(rounded):
        cdf = stats.beta.cdf(
            EDGES.clip(0, 1)[None, :], (number - 1) * share[:, None], (number - 1) * (1 - share)[:, None]
        )
        cdf[:, 0], cdf[:, -1] = 0, 1
        rows = rounded == number
        bins[rows] = weights[rows] @ np.diff(cdf, axis=1)
    return bins


def mixing_law(known: Observations, wanted: Observations, left_out: str) -> tuple[np.ndarray, np.ndarray]:
    tags = sorted({*known.languages, *wanted.languages})
    y = to_latent(known.shares, np.minimum(known.items, 500))
    saturations = dict.fromkeys(tags, 2.0)
    best = np.inf
    for _ in range(2):  # coordinate descent over the saturation of each language
        for tag in tags:
            for value in (0.5, 2.0, 8.0, 32.0):
                tried = saturations | {tag: value}
                *_, loss = _ridge(_law(known, known, tried), y)
                if loss < best - 1e-9:
                    best, saturations = loss, tried
    x = _law(known, known, saturations)
    weights, inverse, _ = _ridge(x, y)
    residual = y - x @ weights
    free = max(len(y) - float(np.trace(inverse @ x.T @ x)), 3.0)
    deviation = np.sqrt(float(residual @ residual) / free)
    new = _law(known, wanted, saturations)
    spread = deviation * np.sqrt(1 + np.einsum("ij,jk,ik->i", new, inverse, new))
    mean = new @ weights
    return _latent_bins(mean, spread, free), stats.norm.cdf(mean / np.sqrt(1 + spread**2))


def _law(known: Observations, cells: Observations, saturations: dict[str, float]) -> np.ndarray:
    """Design matrix; columns are scaled so that one ridge penalty fits all."""
    columns = [np.ones(len(cells.values)) * 3]
    models, tags = np.unique(known.models), np.unique(known.languages)
    columns += [2.0 * (cells.models == model) for model in models]
    columns += [2.0 * (cells.languages == tag) for tag in tags]
    columns += [1.0 * ((cells.models == model) & (cells.languages == tag)) for model in models for tag in tags]
    held = [
        (cells.amounts[mixture], tag)
        for mixture, tag in zip(cells.mixtures.tolist(), cells.languages.tolist(), strict=True)
    ]
    for part in range(3):
        column = []
        for amounts, tag in held:
            half = saturations[tag] * cells.amount_unit
            own, total = amounts.get(tag, 0.0), sum(amounts.values())
            amount = (own, total - own, total)[part]
            column.append(2.0 * amount / (amount + half))
        columns.append(np.array(column))
    return np.stack(columns, axis=1).astype(float)


def _ridge(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    penalty = 0.3
    inverse = np.linalg.inv(x.T @ x + penalty * np.eye(x.shape[1]))
    weights = inverse @ (x.T @ y)
    return weights, inverse, float(((y - x @ weights) ** 2).sum() + penalty * (weights**2).sum())


def radial_basis(known: Observations, wanted: Observations, left_out: str) -> tuple[np.ndarray, np.ndarray]:
    return _conformal(_interpolate, known, wanted, left_out)


def forest(known: Observations, wanted: Observations, left_out: str) -> tuple[np.ndarray, np.ndarray]:
    return _conformal(_trees, known, wanted, left_out)


def _conformal(
    predict: Callable[[Observations, np.ndarray, Observations], np.ndarray], known: Observations,
    wanted: Observations, left_out: str,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Predictions of latent values with the errors of cross-validation over mixtures or languages around them."""
    groups = known.mixtures if left_out == "mixture" else known.languages
    labels = np.unique(groups)
    residuals: list[float] = []
    y = to_latent(known.shares, np.minimum(known.items, 500))
    num = min(5, len(labels))
    for fold in range(num):
        out = np.isin(groups, labels[fold::num])
        if (~out).sum() > 3 and out.any():
            guess = predict(known.take(~out), y[~out], known.take(out))
            residuals += (y[out] - guess).tolist()
    mean = predict(known, y, wanted)
    errors = np.sort(residuals) if residuals else np.array([-0.5, 0.5])
    width = max(1.06 * errors.std() * len(errors) ** -0.2, 0.02)
    edges = _latent_edges()
    # A conformal distribution: the errors of cross-validation around the prediction, smoothed.
    places = np.quantile(errors, (np.arange(100) + 0.5) / 100)
    cdf = stats.norm.cdf((edges[None, None, :] - mean[:, None, None] - places[None, :, None]) / width).mean(axis=1)
    expected = stats.norm.cdf(mean[:, None] + places[None, :]).mean(axis=1)
    return np.diff(cdf, axis=1), expected


def _interpolate(known: Observations, y: np.ndarray, wanted: Observations) -> np.ndarray:
    points, inverse = np.unique(np.round(_features(known, known), 9), axis=0, return_inverse=True)
    means = np.bincount(inverse.ravel(), y) / np.bincount(inverse.ravel())
    found = interpolate.RBFInterpolator(points, means, kernel="linear", smoothing=0.3, degree=0)
    return np.asarray(found(_features(known, wanted)))


def _trees(known: Observations, y: np.ndarray, wanted: Observations) -> np.ndarray:
    from sklearn.ensemble import ExtraTreesRegressor

    tags = sorted({tag for name in np.unique(known.mixtures).tolist() for tag in known.amounts[name]})

    def inputs(cells: Observations) -> np.ndarray:
        held = np.array([[cells.amounts[name].get(tag, 0.0) for tag in tags] for name in cells.mixtures.tolist()])
        return np.column_stack([_features(known, cells), np.log1p(held / known.amount_unit)])

    trees = ExtraTreesRegressor(n_estimators=100, min_samples_leaf=2, max_features=0.5, random_state=0, n_jobs=1)
    return np.asarray(trees.fit(inputs(known), y).predict(inputs(wanted)))


def _features(known: Observations, cells: Observations) -> np.ndarray:
    rows = observed_features(cells, FEATURES)
    models = [3.0 * (cells.models == model) for model in np.unique(known.models)]
    tags = [2.0 * (cells.languages == tag) for tag in np.unique(known.languages)]
    return np.column_stack([rows, *models, *tags])


def mixture_mean(known: Observations, wanted: Observations, left_out: str) -> tuple[np.ndarray, np.ndarray]:
    return _mean_rule(known, wanted, [("models", "mixtures"), ("mixtures",), ("models",), ()])


def model_language_mean(known: Observations, wanted: Observations, left_out: str) -> tuple[np.ndarray, np.ndarray]:
    return _mean_rule(known, wanted, [("models", "languages"), ("languages",), ("models",), ()])


def _mean_rule(
    known: Observations, wanted: Observations, keys: Sequence[tuple[str, ...]]
) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the cells that share the first key with at least two known cells; normal with their pooled deviation."""
    mean, spread, free = (np.full(len(wanted.values), np.nan) for _ in range(3))
    for key in keys:
        groups: dict[tuple[str, ...], list[float]] = {}
        for row, value in enumerate(known.values.tolist()):
            groups.setdefault(tuple(str(getattr(known, part)[row]) for part in key), []).append(value)
        deviations = [np.std(held, ddof=1) for held in groups.values() if len(held) > 1]
        pooled = float(np.sqrt(np.mean(np.square(deviations)))) if deviations else 0.1
        for row in np.flatnonzero(np.isnan(mean)):
            held = groups.get(tuple(str(getattr(wanted, part)[row]) for part in key), [])
            if len(held) > 1:
                mean[row], free[row] = np.mean(held), len(held) * max(len(groups), 1)
                spread[row] = max(pooled, 0.005) * np.sqrt(1 + 1 / len(held))
    cdf = stats.t.cdf((EDGES[None, :] - mean[:, None]) / spread[:, None], df=free[:, None])
    return np.diff(cdf, axis=1), mean


def _latent_edges() -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.asarray(np.where(np.isinf(EDGES), EDGES, ndtri(EDGES.clip(0, 1))))


def _latent_bins(mean: np.ndarray, spread: np.ndarray, free: float) -> np.ndarray:
    return np.diff(stats.t.cdf((_latent_edges()[None, :] - mean[:, None]) / spread[:, None], df=free), axis=1)


PREDICTORS: dict[str, Predictor] = {
    "transfer model": transfer_model,
    "mixing law": mixing_law,
    "radial basis": radial_basis,
    **({"forest": forest} if importlib.util.find_spec("sklearn") else {}),
    "mixture mean": mixture_mean,
    "model x language": model_language_mean,
}
