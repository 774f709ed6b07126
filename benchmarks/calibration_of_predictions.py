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
log probability of the bin that was measured (higher is better). For the transfer model the table also says how many
observed cells are expected within two standard errors of what was measured, and, of simulated worlds, how often the
truth is in the 95 % interval and the stated probability of being within two points of the best beside its frequency.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from predictions.data import ROOT, DataSet, imported_sets, reference_sets, splits, world
from predictions.models import EDGES, PREDICTORS, latent_of, transfer_model
from predictions.recommended import left_out, recommended
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
        for name, predict in PREDICTORS.items():
            if name not in names or (split.kind == OBSERVED and name != "transfer model"):
                continue
            started = time.process_time()
            if name == "transfer model":
                predict = partial(transfer_model, prior=data.prior)
            bins, expected = predict(known, wanted, split.left_out)
            labels = wanted.mixtures if split.left_out == "mixture" else wanted.languages
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
    scores = rows.filter(pl.col("pit").is_not_null())
    models = [name for name in PREDICTORS if name in set(scores["model"])]
    lines = [f"| data | predicted | cells | {' | '.join(models)} |", f"|---|---|---|{'---|' * len(models)}"]
    for (group, kind), part in scores.group_by("group", "kind", maintain_order=True):
        numbers = [_numbers(part.filter(model=model)) for model in models]
        size = part.group_by("model").len()["len"].max()
        lines.append(f"| {group} | {kind} | {size:,} | {' | '.join(numbers)} |")
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


def _coverage(part: pl.DataFrame) -> float:
    return 100 * float(part["pit"].is_between(0.025, 0.975).mean() or 0)


def _numbers(part: pl.DataFrame) -> str:
    """Coverage, log score and root mean squared error of one model, as `94.3, -3.85, 6.3`."""
    if part.is_empty():
        return ""
    error = 100 * float(np.sqrt((part["error"].to_numpy() ** 2).mean()))
    log_score = part["log_score"].mean() if "log_score" in part.columns else None
    return f"{_coverage(part):.1f}, {'' if log_score is None else f'{log_score:.2f}, '}{error:.1f}"


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
