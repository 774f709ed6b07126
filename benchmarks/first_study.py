"""The first study's statistics (arXiv 2604.13286) as printed, and with what its cells share.

    python benchmarks/first_study.py

(1) Its shares of wins with Wilson's intervals, which take every cell for independent, beside intervals that know that
all cells share ten English-only baselines. (2) Its regression, on data simulated with its printed coefficients on its
own grid: are they recovered, and what is R2 worth when whole mixtures are left out instead of random rows?
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from crosslift.streams import stream
from crosslift.studies.parsing.load import load
from crosslift.studies.presets import preset_text
from crosslift.transfer.grid.cells import CELLS, Cells
from crosslift.transfer.grid.regression import regression
from crosslift.transfer.grid.win_shares import win_share

SIZES = (0.6e9, 1.7e9, 8e9, 1.2e9, 4e9)
PRINTED = {
    "log10 size": 0.302,
    "family": 0.265,
    "math": -0.207,
    "base": -0.110,
    "in training": 0.089,
    "sqrt(L / 10)": 0.053,
}
ITEMS = {"math": 250, "api_calling": 399}
DISCORDANCE = 0.2


def wins() -> None:
    """(1)"""
    noise = 100 * np.sqrt(DISCORDANCE / 2 / 300)
    print("wins over English-only, [Wilson as printed], [with shared baselines]")
    for name, num_wins, per_pair in (("English", 30, 1), ("direct", 35, 1), ("transfer", 119, 4)):
        rows = [
            (base, base * 4 + partner, place if name == "transfer" else {"English": 0, "direct": 10 + partner}[name])
            for base in range(10)
            for partner in range(4)
            for place in range(per_pair)
        ]
        baseline, treatment, where = (np.array(column) for column in zip(*rows, strict=True))
        found = win_share(num_wins, baseline, treatment, where, cell_sd=noise, run_sd=1.5, effect_sd=2.0)
        low, high = (100 * side for side in found.independent_interval)
        mine = [100 * side for side in found.dependent_interval]
        print(f"  {name}: {num_wins}/{len(rows)} = {100 * num_wins / len(rows):.1f} % [{low:.1f}, {high:.1f}]  "
              f"[{mine[0]:.1f}, {mine[1]:.1f}], worth {found.num_effective_cells:.0f} independent cells")  # fmt: skip


def grid() -> pl.DataFrame:
    """The study's own runs, with base models."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "study.toml").write_text(preset_text("english-is-not-all-you-need", "full"), encoding="utf-8")
        study = load(Path(folder), data="optional")
    rows = []
    sizes = dict(zip(study.models, SIZES, strict=False))
    for run in study.runs():
        for evaluation in study.evaluations_of(run):
            tags = list(run.mixture.languages) if run.mixture is not None else []
            for tag in evaluation.languages:
                rows.append({
                    "evaluation": evaluation.name, "task": evaluation.task, "model": run.model.name,
                    "mixture": "base" if run.mixture is None else run.mixture.name,
                    "family": "" if run.mixture is None else run.mixture.family, "setting": evaluation.task,
                    "languages": tags, "dose": None, "num_parameters": int(sizes[run.model.name]), "num_seeds": 1,
                    "language": tag, "value": 0.0,
                })  # fmt: skip
    return pl.DataFrame(rows, schema=CELLS)


def main() -> None:
    wins()
    table = grid()
    generator = stream(0, "benchmark", "first study")
    count = table["languages"].list.len().to_numpy()
    qwen = table["model"].str.to_lowercase().str.contains("qwen").to_numpy()
    mean = (
        -2.55
        + PRINTED["log10 size"] * np.log10(table["num_parameters"].to_numpy())
        + PRINTED["family"] * qwen
        + PRINTED["math"] * (table["task"] == "math").to_numpy()
        + PRINTED["base"] * (table["mixture"] == "base").to_numpy()
        + PRINTED["in training"] * table.select(pl.col("language").is_in(pl.col("languages"))).to_series().to_numpy()
        + PRINTED["sqrt(L / 10)"] * np.sqrt(count / max(count))
    )
    runs = table.select(pl.concat_str("evaluation", "model", "mixture")).to_series()
    models = table.select(pl.concat_str("task", "model", "language")).to_series()
    shake = {name: generator.normal(0, 0.05) for name in sorted(set(runs))}
    level = {name: generator.normal(0, 0.11) for name in sorted(set(models))}
    # Languages differ within a model; the model's own mean stays what the coefficients say.
    of_model = table.select(pl.concat_str("task", "model")).to_series().to_list()
    means = {name: np.mean([level[cell] for cell in set(models) if cell.startswith(name)]) for name in set(of_model)}
    values = mean + [
        shake[one] + level[other] - means[name] for one, other, name in zip(runs, models, of_model, strict=True)
    ]
    draws = values[:, None] + generator.normal(0, 0.02, (len(values), 201)) * (np.arange(201) > 0)
    cells = Cells(table=table.with_columns(value=pl.Series(values)), draws=draws,
                  num_clusters=dict.fromkeys(table["evaluation"].unique(), 250))  # fmt: skip
    found = regression(cells)
    print(f"regression on {table.height:,} simulated cells of {runs.n_unique()} runs; printed: {PRINTED}")
    for row in found.iter_rows(named=True):
        interval = "" if row["printed_low"] is None else f" [{row['printed_low']:.3f}, {row['printed_high']:.3f}]"
        print(f"  {row['term']}: {row['mean']:.3f}{interval}")


if __name__ == "__main__":
    main()
