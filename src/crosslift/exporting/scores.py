"""`crosslift export scores`: the samples of every finished evaluation as logs of another evaluation tool.

The logs hold the prompt, the answer, the gold answer and every metric of each sample. A mapping is written beside
them, by which `crosslift import` reads them back: same runs, items, languages and values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from crosslift import __version__
from crosslift.discover import member, members
from crosslift.errors import StoreError, UnknownName, did_you_mean
from crosslift.execution.folder import checksums
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.tables import read_step_table
from crosslift.exporting.new_folder import new_folder
from crosslift.scores import PREDICTION_TABLES, SCORES
from crosslift.system.files import write_text

MAPPING_FILE = "import.toml"
DATE = "2000-01-01T00-00-00.000000"
"""Time in the names of logs, which the tools expect. It is fixed, so that equal results give equal logs."""


@dataclass(frozen=True, kw_only=True)
class EvaluationLog:
    """One evaluation of one run in one language."""

    run: str
    model: str
    """Name of the base model in the study."""
    evaluation: str
    task: str
    language: str
    metrics: tuple[str, ...]
    """The primary metric is the first."""
    samples: list[dict[str, Any]]
    """Columns as in `scores.PREDICTIONS`, and "number" (position of the item in the corpus), "status" and "values"
    (metric -> value; None where the program failed)."""
    facts: dict[str, Any]
    """Mixture, training languages and seed of the run, and the version of crosslift."""

    @property
    def name(self) -> str:
        """Name of the task in the log, such as `mgsm_sw`."""
        return f"{self.evaluation}_{self.language}"

    def means(self) -> dict[str, tuple[float, float | None, int]]:
        """Compute the means of the metrics over the scored samples.

        Returns:
            Metric -> mean, standard error of the mean (None for fewer than two samples), and number of samples.
        """
        found = {}
        for metric in self.metrics:
            values = pl.Series([one["values"].get(metric) for one in self.samples], dtype=pl.Float64).drop_nulls()
            if len(values):
                error = None if len(values) < 2 else float(values.std() or 0.0) / len(values) ** 0.5  # type: ignore[arg-type]
                found[metric] = (float(values.sum()) / len(values), error, len(values))
        return found


@dataclass(frozen=True, kw_only=True)
class ExportedScores:
    """Summary of exported scores."""

    num_logs: int
    num_samples: int
    num_runs: int


def export_scores(graph: StepGraph, folder: Path, *, form: str) -> ExportedScores:
    """Write the logs of all finished evaluations to a new folder, completely or not at all.

    Args:
        graph: the steps of the study.
        folder: the folder to create; it must not exist, or be empty.
        form: "lm_eval" or "inspect".

    Returns:
        The summary.

    Raises:
        UnknownName: there is no such format.
        StoreError: nothing has been evaluated, a file is damaged, or the folder is not empty.
    """
    if form not in members("log format"):
        known = members("log format")
        raise UnknownName(f"'{form}' is not a format of logs.{did_you_mean(form, known)} Known: {', '.join(known)}.")
    writer = member("log format", form)
    num_logs, num_samples, runs = 0, 0, set()
    with new_folder(folder) as partial:
        for run, record in graph.store.lock()["runs"].items():
            factors = graph.store.run_record(run, record)["factors"]
            logs = [
                log
                for evaluation, tags in record["evaluations"].items()
                for tag in tags
                if (log := _log(graph, factors, evaluation, tag)) is not None
            ]
            if logs:
                runs.add(run)
                num_logs += len(logs)
                num_samples += sum(len(log.samples) for log in logs)
                writer.write(logs, partial)
        if not runs:
            raise StoreError(f"nothing of {graph.store.folder} has been evaluated yet. Run: crosslift run")
        write_text(partial / MAPPING_FILE, _mapping(graph, writer.MAPPING))
    return ExportedScores(num_logs=num_logs, num_samples=num_samples, num_runs=len(runs))


def _log(graph: StepGraph, factors: Mapping[str, Any], evaluation: str, tag: str) -> EvaluationLog | None:
    """Read one evaluation; None if it is not finished."""
    run = factors["run"]
    step = graph.store.evaluation_folder(run, evaluation, tag)
    if checksums.read_marker(step) is None:
        return None
    predictions = read_step_table(step, "predictions.parquet", PREDICTION_TABLES)
    scores = read_step_table(step, "scores.parquet", SCORES)
    metrics = tuple(scores["metric"].unique(maintain_order=True))
    by_sample: dict[str, dict[str, Any]] = {}
    status: dict[str, str] = {}
    for sample, metric, value, said in scores.select("sample_id", "metric", "value", "status").iter_rows():
        by_sample.setdefault(sample, {})[metric] = value
        if metric == metrics[0]:
            status[sample] = said
    return EvaluationLog(
        run=run,
        model=factors["model"],
        evaluation=evaluation,
        task=scores["task"][0],
        language=tag,
        metrics=metrics,
        samples=[
            {**row, "number": number, "status": status[row["sample_id"]], "values": by_sample[row["sample_id"]]}
            for number, row in enumerate(predictions.iter_rows(named=True))
        ],
        facts={
            "mixture": factors["mixture"],
            "languages": factors["languages"],
            "seed": factors["seed"],
            "crosslift": __version__,
        },
    )


def _mapping(graph: StepGraph, text: str) -> str:
    names = sorted(map(re.escape, graph.study.evaluations), key=len, reverse=True)  # the longest matches first
    return text.replace("NAME", graph.study.name).replace("EVALUATIONS", "|".join(names))
