"""Calibration of predicted scores: coverage of 95 % intervals, log scores and errors of several models.

    python benchmarks/calibration_of_predictions.py FOLDER [--data ../shared/data/results] [--worlds 200] [--only NAME]
        [--models "transfer model,forest"]

Predicted are the measured scores of runs that were left out (whole mixtures; all but a quarter of the runs; whole
languages), of further seeds of known mixtures, and, as a check, of the runs that were learned from, on both reference
studies, the imported grids and simulated worlds. FOLDER keeps one file per data set, so that the command continues
where it was stopped; the table is printed at the end.

The forest needs scikit-learn, which crosslift does not depend on: pip install scikit-learn.

Every model gives each cell a distribution over bins of half a point. Coverage is the share of cells whose probability
integral transform (randomised within the bin, as scores are discrete) is between .025 and .975; its deviation from a
uniform distribution is the largest distance of the two distribution functions (Kolmogorov); the log score is the mean
log probability of the bin that was measured (higher is better). The standard error of a coverage is clustered by what
was left out (mixture or language; simulated world), because cells of one group err together. In bold are the highest
log score of a row and every other that is not significantly lower: the 95 % interval of the paired difference,
clustered the same way, contains 0. For the transfer model the table also says how many
observed cells are expected within two standard errors of what was measured, and, of simulated worlds, how often the
truth is in the 95 % interval and the stated probability of being within two points of the best beside its frequency.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from predictions.data import ROOT, DataSet, imported_sets, reference_sets, splits, world
from predictions.models import EDGES, PREDICTORS, latent_of, transfer_model
from predictions.recommended import left_out, recommended
from scipy import stats
from scipy.special import ndtr

from crosslift.streams import stream
from crosslift.transfer.model.gaussian_process import fit_transfer_model

OBSERVED = "observed"
LARGE, LARGE_SPLITS = 800, 3
"""Of data sets with more cells, only so many splits of each kind are predicted."""
LOWEST = 1e-6
"""Smallest probability of a bin, so that one impossible score does not decide a mean log score."""


def predicted(data: DataSet, *, names: Collection[str] = tuple(PREDICTORS), most: int | None = None) -> pl.DataFrame:
    """Predict every split of a data set by the models with these names: one row per cell."""
    observed = data.observed
    parts = []
    for number, split in enumerate(splits(data, most=most)):
        known, wanted = observed.take(split.learn), observed.take(split.predict)
        labels = wanted.mixtures if split.left_out == "mixture" else wanted.languages
        for name, predict in PREDICTORS.items():
            if name not in names or (split.kind == OBSERVED and name != "transfer model"):
                continue
            started = time.process_time()
            if name == "transfer model":
                predict = partial(transfer_model, prior=data.prior)
            bins, expected = predict(known, wanted, split.left_out)
            columns: dict[str, Any] = {
                "data": data.name, "kind": split.kind, "split": number, "model": name,
                "cell": np.arange(len(wanted.values)), "left_out": labels,
                **scored(bins, wanted.shares, stream(0, "pit", data.name, number)),
                "error": expected - wanted.values, "value": wanted.values, "num_items": data.num_items,
                "seconds": (time.process_time() - started) / len(wanted.values),
            }  # fmt: skip
            parts.append(pl.DataFrame(columns, strict=False))
    if data.truth is not None:
        parts.append(_truth(data))
    return pl.concat(parts, how="diagonal_relaxed")


def scored(bins: np.ndarray, measured: np.ndarray, generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Probability integral transform and log score of measured shares.

    Args:
        bins: probabilities, shape (cells, bins).
        measured: shape (cells,).
        generator: of the position within a bin.
    """
    bins = np.maximum(bins, 0) / bins.sum(axis=1, keepdims=True)
    place = np.searchsorted(EDGES, measured) - 1
    rows = np.arange(len(measured))
    mass = bins[rows, place]
    below = np.cumsum(bins, axis=1)[rows, place] - mass
    return {"pit": below + generator.random(len(mass)) * mass, "log_score": np.log(np.maximum(mass, LOWEST))}


def _truth(data: DataSet) -> pl.DataFrame:
    """Whether the truth is in the interval, for observed and left-out mixtures; stated and true probabilities."""
    observed = data.observed
    out = left_out(data)
    known = observed.take(~out)
    fitted = fit_transfer_model(known)
    assert data.truth is not None
    mean, variance = latent_of(fitted, observed)
    rows = [
        pl.DataFrame({
            "data": data.name, "kind": f"truth of {kind}", "model": "transfer model",
            "pit": ndtr((_latent(data.truth[part]) - mean[part]) / np.sqrt(variance[part])),
            "error": fitted.expected_scores(mean[part], variance[part]) - data.truth[part],
        })
        for kind, part in (("observed mixtures", ~out), ("left-out mixtures", out))
    ]  # fmt: skip
    if (found := recommended(data, fitted)) is not None:
        rows.append(pl.DataFrame({
            "data": [data.name], "kind": ["recommended"], "model": ["transfer model"],
            "stated": [found.stated], "hit": [float(found.hit)],
        }))  # fmt: skip
    return pl.concat(rows, how="diagonal_relaxed")


def _latent(shares: np.ndarray) -> np.ndarray:
    from scipy.special import ndtri

    return np.asarray(ndtri(np.clip(shares, 1e-6, 1 - 1e-6)))


def table(rows: pl.DataFrame) -> list[str]:
    """Lines of a Markdown table: coverage in percent, log score and error in points of every model."""
    rows = rows.with_columns(group=pl.col("data").str.replace(r"^world .*", "simulated worlds"))
    rows = rows.with_columns(cluster=pl.when(group="simulated worlds").then("data").otherwise("left_out"))
    scores = rows.filter(pl.col("pit").is_not_null())
    models = [name for name in PREDICTORS if name in set(scores["model"])]
    lines = [
        f"| data | predicted | cells | groups | {' | '.join(models)} |",
        f"|---|---|---|---|{'---|' * len(models)}",
    ]
    means: list[dict[str, Any]] = []
    for (group, kind), part in scores.group_by("group", "kind", maintain_order=True):
        by_model = {name: part.filter(model=name) for name in models}
        best = _not_worse(by_model) if part["log_score"].null_count() == 0 else set()
        numbers = [_numbers(held, bold=name in best) for name, held in by_model.items()]
        size = max(held.height for held in by_model.values())
        lines.append(f"| {group} | {kind} | {size:,} | {part['cluster'].n_unique()} | {' | '.join(numbers)} |")
        if best and kind != OBSERVED:
            means += [
                {"kind": kind, "model": name, "best": name in best, "log_score": float(held["log_score"].mean())}
                for name, held in by_model.items()
            ]
    lines += ["", "Mean log scores over data sets; rows in which a model is best or not significantly worse:", ""]
    for (kind,), part in pl.DataFrame(means).group_by("kind", maintain_order=True):
        told = (
            f"{name} {held['log_score'].mean():.2f}, {held['best'].sum()} of {held.height}"
            for name, held in ((name, part.filter(model=name)) for name in models)
        )
        lines.append(f"- {kind}: {'; '.join(told)}")
    lines += ["", "Distance of the transfer model's probability integral transform from a uniform distribution:", ""]
    for (kind,), part in scores.filter(model=models[0]).group_by("kind", maintain_order=True):
        pit = np.sort(part["pit"].to_numpy())
        distance = np.abs(pit - (np.arange(len(pit)) + 0.5) / len(pit)).max()
        lines.append(f"- {kind}: {distance:.2f}, coverage {_coverage(part):.1f} % of {len(pit):,} cells")
    for (group,), part in scores.filter(kind=OBSERVED).group_by("group", maintain_order=True):
        expected = (part["error"] + part["value"]).to_numpy()
        margin = 2 * np.sqrt(expected * (1 - expected) / part["num_items"].to_numpy())
        share = 100 * float((np.abs(part["error"].to_numpy()) <= margin).mean())
        lines.append(f"\n{group}: {share:.1f} % of observed cells are expected within two standard errors")
    if "stated" in rows.columns:
        told = rows.filter(kind="recommended")
        if told.height:
            lines.append(
                f"\n{told.height} recommendations in simulated worlds: stated probability of being within two points "
                f"of the best {told['stated'].mean():.2f}, true frequency {told['hit'].mean():.2f}"
            )
    return lines


def _not_worse(by_model: Mapping[str, pl.DataFrame]) -> set[str]:
    """The model with the highest mean log score, and those whose paired difference from it may be 0."""
    order = ["data", "split", "cell"]
    held = {name: one.sort(order) for name, one in by_model.items() if one.height}
    best = max(held, key=lambda name: float(held[name]["log_score"].mean()))
    found = {best}
    for name, one in held.items():
        difference = (held[best]["log_score"] - one["log_score"]).to_numpy()
        groups = one["cluster"].to_numpy()
        limit = stats.t.ppf(0.975, max(len(np.unique(groups)) - 1, 1))
        if difference.mean() <= limit * clustered_error(difference, groups):
            found.add(name)
    return found


def clustered_error(values: np.ndarray, groups: np.ndarray) -> float:
    """Standard error of a mean whose values are dependent within groups.

    Args:
        values: shape (n,).
        groups: label of each value, shape (n,).
    """
    _, places = np.unique(groups, return_inverse=True)
    sums = np.bincount(places, values - values.mean())
    num = len(sums)
    return float(np.sqrt((sums**2).sum() * num / max(num - 1, 1)) / len(values))


def _coverage(part: pl.DataFrame) -> float:
    return 100 * float(part["pit"].is_between(0.025, 0.975).mean() or 0)


def _numbers(part: pl.DataFrame, *, bold: bool) -> str:
    """Coverage with its standard error, log score and root mean squared error, as `94.3 ± 1.2, -3.85, 6.3`."""
    if part.is_empty():
        return ""
    error = 100 * float(np.sqrt((part["error"].to_numpy() ** 2).mean()))
    covered = part["pit"].is_between(0.025, 0.975).cast(pl.Float64).to_numpy()
    spread = 100 * clustered_error(covered, part["cluster"].to_numpy())
    shown = "" if part["log_score"].null_count() else f"{part['log_score'].mean():.2f}, "
    shown = f"**{shown[:-2]}**, " if bold else shown
    return f"{_coverage(part):.1f} ± {spread:.1f}, {shown}{error:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "results")
    parser.add_argument("--worlds", type=int, default=200)
    parser.add_argument("--only", default="", help="data sets whose name begins with this")
    parser.add_argument("--models", default=",".join(PREDICTORS), help="names of models, separated by commas")
    given = parser.parse_args()
    wanted = given.models.split(",")
    if unknown := [name for name in wanted if name not in PREDICTORS]:
        parser.error(f"--models: unknown or not installed: {', '.join(unknown)}. Known: {', '.join(PREDICTORS)}.")
    given.folder.mkdir(parents=True, exist_ok=True)
    real = [*reference_sets(), *(imported_sets(given.data) if given.data.exists() else [])]
    names = [one.name for one in real] + [f"world {number}" for number in range(given.worlds)]
    for place, name in enumerate(names):
        file = given.folder / f"{name.replace(' ', '-')}.parquet"
        if name.startswith(given.only) and not file.exists():
            data = real[place] if place < len(real) else world(place - len(real))
            most = 2 if place >= len(real) else LARGE_SPLITS if len(data.observed.values) > LARGE else None
            started = time.monotonic()
            predicted(data, names=wanted, most=most).write_parquet(file.with_suffix(".partial"))
            file.with_suffix(".partial").rename(file)
            sys.stderr.write(f"{name}: {time.monotonic() - started:.0f} s\n")
    files = [given.folder / f"{name.replace(' ', '-')}.parquet" for name in names]
    found = [pl.read_parquet(file) for file in files if file.exists()]
    sys.stdout.write("\n".join(table(pl.concat(found, how="diagonal_relaxed"))) + "\n")


if __name__ == "__main__":
    main()
