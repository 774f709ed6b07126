"""Made-up results of a preset's full design: every run, evaluation and language of it, a few items each, untrained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from crosslift.languages.language import language
from crosslift.reporting.data import SAMPLES, ReportData
from crosslift.scores import RATING, RUNS, SCORES, metric_range
from crosslift.studies.evaluation import primary_metric, primary_metrics
from crosslift.studies.parsing.load import load
from crosslift.studies.presets import preset_text
from crosslift.studies.run import Run
from crosslift.studies.study import Study
from crosslift.training.trainer import METRICS
from crosslift.transfer.estimates.estimate import estimate

SIZES = {"0.6b": 6e8, "1.7b": 17e8, "1b": 1e9, "4b": 4e9, "7b": 8e9, "8b": 8e9, "35b": 35e9}


def full_study(name: str, folder: Path, *, scale: str = "full") -> Study:
    """The study of a preset; neither data nor models are there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.toml").write_text(preset_text(name, scale), encoding="utf-8")
    return load(folder, data="optional")


def amounts_of(run: Run) -> dict[str, int]:
    found: dict[str, int] = {}
    if run.mixture is not None:
        for (_, tag), amount in run.mixture.amounts().items():
            if amount:
                found[tag] = found.get(tag, 0) + amount
    return found


def skill(run: Run, task: str, tag: str) -> float:
    """Between 0 and 1. Every further language helps, most the languages themselves and those with few resources."""
    if run.mixture is None:
        return 0.1
    counts = amounts_of(run)
    dose = run.mixture.dose or 0
    low = language(tag).resource == "low"
    size = np.log10(SIZES[run.model.name.rsplit("-", 1)[-1]] / 1e9)
    found = 0.25 + 0.1 * size + (0.2 if tag == "en" else 0.0) - 0.1 * low
    found += 0.01 * len(counts) * (2 if low else 1) + 0.1 * (tag in counts and tag != "en")
    reach = 8000 if task == "math" else 300  # math gains for longer
    found += 0.15 * dose / (dose + reach) * (1.0 if tag in counts else 0.5)
    return float(found - 0.05 * (task == "math" and len({part.corpus for part in run.mixture.components}) > 2))


def made_up(
    study: Study, *, num_items: int = 20, judged: bool = True, num_resamples: int = 60, only: Sequence[str] = ()
) -> ReportData:
    """A finished report's data. Without `judged`, the judge's ratings are missing; `only`: names of runs."""
    generator = np.random.default_rng(11)
    difficulty = generator.random(num_items)
    runs, frames = [], []
    for run in study.runs():
        if only and run.name not in only:
            continue
        counts = amounts_of(run)
        tasks = () if run.mixture is None else study.tasks_of(run.mixture)
        runs.append(
            {
                "run": run.name, "model": run.model.name, "mixture": run.mixture.name if run.mixture else "base",
                "family": run.mixture.family if run.mixture else "", "setting": "+".join(tasks), "seed": run.seed,
                "num_parameters": int(SIZES[run.model.name.rsplit("-", 1)[-1]]), "languages": list(counts),
                "num_items": list(counts.values()), "num_tokens": [100 * one for one in counts.values()],
                "dose": run.mixture.dose if run.mixture else None,
            }
        )  # fmt: skip
        for one in study.evaluations_of(run):
            metric = primary_metric(one, one.task, (RATING,) if judged else ())
            lowest, highest = metric_range(metric)
            for tag in one.languages:
                share = np.clip(skill(run, one.task, tag) + generator.normal(0, 0.02), 0.02, 0.98)
                binary = metric in ("accuracy", "exact_match", "call")
                values = (difficulty < share) if binary else np.clip(share + 0.4 * (0.5 - difficulty), 0, 1)
                values = lowest + (highest - lowest) * values.astype(float)
                values = np.round(values) if metric == RATING else values
                frames.append((run.name, one.name, one.task, tag, metric, values))
    items = [f"item-{number:03d}" for number in range(num_items)]
    names = ("run", "evaluation", "task", "language", "metric")
    scores = pl.DataFrame(
        {name: np.repeat([frame[place] for frame in frames], num_items) for place, name in enumerate(names)}
        | {"value": np.concatenate([frame[-1] for frame in frames]), "item_id": items * len(frames)}
    ).with_columns(
        sample_id=pl.format("{}.{}", "item_id", "language"), cluster=pl.col("item_id"), status=pl.lit("scored")
    )
    scores = scores.select(pl.col(name).cast(kind) for name, kind in SCORES.items())
    table = pl.DataFrame(runs, schema=RUNS)
    # Estimates per condition are the slow part, and a few conditions show which figures can be made of them.
    primary_contrasts = [contrast for contrast in study.contrasts if contrast.primary]
    named = {name for one in primary_contrasts for name in (one.control, *one.treatments)}
    every_fifth = table["mixture"].unique(maintain_order=True).gather_every(5)
    estimated = table.filter(pl.col("mixture").is_in([*named, *every_fifth, "base"]))["run"]
    scored = scores.select("evaluation", "task", "metric").unique(maintain_order=True)
    primary = primary_metrics(study.evaluations, scored.iter_rows())
    return ReportData(
        study=study,
        runs=table,
        scores=scores,
        estimates=estimate(
            scores.filter(pl.col("run").is_in(estimated.implode())),
            table.filter(pl.col("run").is_in(estimated.implode())),
            primary_contrasts,
            num_resamples=num_resamples,
            primary_metrics=primary,
        ),
        manifests={},
        lock={},
        training=pl.DataFrame(schema={"run": pl.String} | dict(METRICS)),
        provenance={},
        samples=pl.DataFrame(schema=SAMPLES),
        primary_metrics=primary,
    )
