"""Data sets of predictions: reference studies, imported runs, simulated worlds, and what is left out of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from crosslift.streams import stream
from crosslift.transfer.model.measurement import effective_items
from crosslift.transfer.model.observations import Observations, observations_of

ROOT = Path(__file__).parents[2]
REFERENCES = {
    "english-is-not-all-you-need": {"math": "accuracy", "api_calling": "exact"},
    "post-trainers-guide": {"math": "accuracy", "summarization": "rouge_l", "instruction_following": "constraints"},
}
IMPORTED = {"language-subsets": ("xcopa", "xstorycloze"), "number-of-languages": ("xcopa",)}
IMPORTED_ITEMS = {"xcopa": 500, "xstorycloze": 1511}
"""Items of the published test sets."""
NUM_FOLDS, NUM_QUARTERS = 10, 5
"""Groups of mixtures left out in turn; random quarters of the runs to learn from."""
PRIOR_WITHOUT = {
    "math": (-4.0, -1.3, -1.8, -4.0, -2.0, -2.0, 0.5, -2.3, -2.1, -2.0, -4.7, -3.5, -3.0, -3.6, -3.6, -5.9, -4.6),
    "summarization": (
        -4.4, -1.3, -1.8, -3.9, -2.0, -2.0, 0.0, -2.0, -1.4, -2.0, -3.8, -3.7, -4.4, -3.1, -3.6, -5.9, -4.6
    ),
    "instruction_following": (
        -4.7, -4.9, -5.6, -4.6, -2.0, -2.0, 0.2, -2.2, -2.0, -2.0, -4.2, -3.5, -3.2, -2.7, -4.1, -5.9, -4.6
    ),
}  # fmt: skip
"""Prior log variances of the transfer model without this task of post-trainers-guide, from which the prior comes: the
rows "without" of tools/typical_variances.py, the same for sizes, fertility and runs."""
WORLD_LANGUAGES = ("de", "en", "es", "ja", "sw", "te")
WORLD_ITEMS = 100


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """Cells to predict."""

    name: str
    observed: Observations
    num_items: float
    """Items behind each measured score, for its standard error."""
    truth: np.ndarray | None = None
    """Expected scores without any noise, shape (n,), of a simulated world."""
    truth_of: Callable[[Mapping[str, float]], np.ndarray] | None = None
    """Amounts of any mixture -> expected scores of the first model without any noise, in the order of WORLD_LANGUAGES;
    of a simulated world."""
    replicates: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=int))
    """Rows of further seeds of mixtures that are among the other rows too."""
    prior: tuple[float, ...] | None = None
    """Prior log variances of the transfer model that were estimated without this data set; None if its usual ones
    were."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Rows to learn from and rows to predict."""

    kind: str
    learn: np.ndarray
    predict: np.ndarray
    left_out: str
    """"mixture" or "language": what the groups of an inner cross-validation are."""


def reference_sets() -> Iterator[DataSet]:
    """Coverage runs of the first reference and single-task runs of the second, one data set per task."""
    for name, metrics in REFERENCES.items():
        folder = ROOT / "references" / name
        runs = pl.read_parquet(folder / "runs.parquet").rename({"num_items": "amounts"}).drop("num_tokens")
        runs = runs.filter(pl.col("mixture") != "base")
        scores = pl.read_parquet(folder / "scores.parquet")
        for task, metric in metrics.items():
            here = runs.filter(setting=task)
            if name == "english-is-not-all-you-need":
                here = here.filter(family="coverage")
            part = scores.filter(task=task, metric=metric).join(here, on="run")
            cells = part.group_by("run", "language").agg(pl.col("value").mean(), num=pl.len())
            cells = cells.join(effective_items(part), on=["run", "language"]).join(here, on="run")
            cells = cells.sort("run", "language")
            further = cells.select((pl.col("seed") > pl.col("seed").min().over("model", "mixture")).alias("x"))["x"]
            yield DataSet(
                name=f"{name} {task}", observed=observations_of(cells), num_items=float(cells["num"].to_numpy().mean()),
                replicates=np.flatnonzero(further.to_numpy()),
                prior=PRIOR_WITHOUT[task] if name == "post-trainers-guide" else None,
            )  # fmt: skip


def imported_sets(data: Path) -> Iterator[DataSet]:
    """The imported grids; the same total over each run's languages, as `importing.analyses.transfer` reads them."""
    from crosslift.importing.mapping import load_import
    from crosslift.importing.results import read_results

    for name, tasks in IMPORTED.items():
        table = read_results(load_import(ROOT / "examples" / f"{name}.toml", data=data)).table()
        table = table.filter(pl.col("value").is_not_null(), pl.col("languages").list.len() > 0)
        table = table.with_columns(
            amounts=pl.Series([[52000 // len(tags)] * len(tags) for tags in table["languages"].to_list()])
        )
        for task in tasks:
            cells = table.filter(task=task).drop("num_items", "num_parameters", "num_tokens")
            items = float(IMPORTED_ITEMS[task])
            yield DataSet(name=f"{name} {task}", observed=observations_of(cells), num_items=items)


def world(number: int) -> DataSet:
    """A simulated study: logistic scores, saturating responses, transfer, interactions, floors and ceilings.

    None of it has the form of a model that is compared: responses saturate as 1 - exp(-amount / c), each language gains
    from and loses to others in its own way, pairs of languages interact, and scores are logistic with a floor (chance)
    and a ceiling. Every fourth world is near the floor and every fourth near the ceiling.
    """
    generator = stream(number, "predictions", "world")
    tags = WORLD_LANGUAGES
    num_models, num_mixtures = int(generator.integers(1, 3)), int(generator.integers(8, 25))
    level = generator.normal((-0.5, -4.0, 2.5, -0.5)[number % 4], 0.7, (num_models, len(tags)))
    gain = generator.gamma(2.0, 0.9, len(tags))
    cross = generator.normal(0.15, 0.3, (len(tags), len(tags)))
    pairs = generator.normal(0, generator.choice([0.0, 0.4]), (len(tags), len(tags), len(tags)))
    saturation = np.exp(generator.normal(np.log(200), 0.7, len(tags)))
    floor, ceiling = generator.choice([0.0, 0.0, 0.25]), generator.choice([1.0, 1.0, 0.9])
    rows: list[tuple[float, float, str, str, str, str]] = []
    amounts: dict[str, Mapping[str, float]] = {}
    for mixture in range(num_mixtures):
        chosen = generator.choice(len(tags), size=int(generator.integers(1, len(tags) + 1)), replace=False)
        held = np.zeros(len(tags))
        held[chosen] = generator.choice([50, 100, 200, 400, 800], size=len(chosen))
        amounts[f"m{mixture}"] = {tag: float(n) for tag, n in zip(tags, held, strict=True) if n}
        response = 1 - np.exp(-held / saturation)
        latent = gain * response + response @ cross + np.einsum("i,j,ijk->k", response, response, pairs)
        for model in range(num_models):
            share = floor + (ceiling - floor) / (1 + np.exp(-(level[model] + latent)))
            shift = generator.normal(0, 0.1) + generator.normal(0, 0.2, len(tags))
            noisy = floor + (ceiling - floor) / (1 + np.exp(-(level[model] + latent + shift)))
            measured = generator.binomial(WORLD_ITEMS, noisy) / WORLD_ITEMS
            name = f"model{model}"
            rows += [
                (float(m), float(s), f"{name}.m{mixture}", name, tag, f"m{mixture}")
                for m, s, tag in zip(measured, share, tags, strict=True)
            ]

    def truth_of(mixture: Mapping[str, float]) -> np.ndarray:
        response = 1 - np.exp(-np.array([mixture.get(tag, 0.0) for tag in tags]) / saturation)
        latent = gain * response + response @ cross + np.einsum("i,j,ijk->k", response, response, pairs)
        return np.asarray(floor + (ceiling - floor) / (1 + np.exp(-(level[0] + latent))))

    values, truth, runs, models, languages, mixtures = (np.array(column) for column in zip(*rows, strict=True))
    return DataSet(
        name=f"world {number}",
        observed=Observations(
            values=values, runs=runs, models=models, languages=languages, mixtures=mixtures, amounts=amounts,
            num_effective=np.full(len(values), float(WORLD_ITEMS)),
        ),
        truth=truth,
        truth_of=truth_of,
        num_items=float(WORLD_ITEMS),
    )  # fmt: skip


def splits(data: DataSet, *, most: int | None = None) -> Iterator[Split]:
    """Everything that is left out of a data set.

    Args:
        data: the data set.
        most: largest number of splits of each kind, for small data sets.
    """
    observed = data.observed
    rows = np.setdiff1d(np.arange(len(observed.values)), data.replicates)
    generator = stream(0, "predictions", "splits", data.name)
    yield Split(kind="observed", learn=rows, predict=rows, left_out="mixture")
    if len(data.replicates):
        yield Split(kind="another seed", learn=rows, predict=data.replicates, left_out="mixture")
    labels = generator.permutation(np.unique(observed.mixtures))
    for fold in range(min(NUM_FOLDS, most or NUM_FOLDS)):
        out = np.isin(observed.mixtures[rows], labels[fold::NUM_FOLDS])
        if out.any():
            yield Split(kind="mixtures left out", learn=rows[~out], predict=rows[out], left_out="mixture")
    runs = np.unique(observed.runs[rows])
    for _ in range(min(NUM_QUARTERS, most or NUM_QUARTERS)):
        kept = generator.choice(runs, size=max(len(runs) // 4, 3), replace=False)
        known = np.isin(observed.runs[rows], kept)
        pairs = set(zip(observed.models[rows[known]], observed.mixtures[rows[known]], strict=True))
        new = np.array([(observed.models[row], observed.mixtures[row]) not in pairs for row in rows])
        yield Split(kind="a quarter of the runs", learn=rows[known], predict=rows[new], left_out="mixture")
    for tag in generator.permutation(np.unique(observed.languages))[: most or 99]:
        out = observed.languages[rows] == tag
        yield Split(kind="languages left out", learn=rows[~out], predict=rows[out], left_out="language")
