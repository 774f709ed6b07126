"""Every run minus a control run, paired by item, as `crosslift report` does for a study.

    control     columns and values that select the control run: { mixture = "english" }; one per `match`
    match       columns that a run must share with its control: ["model"] (default: none, one control for all)
    unit        factor for differences in the output

Items are resampled jointly for all runs and languages (10,000 resamples), so that every difference is paired and the
translations of an item form one cluster. The primary estimate of each run is the mean over languages; its sign-flip
p-value is corrected by Holm over all runs. The intervals do not include run-to-run noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from crosslift.errors import TransferError
from crosslift.importing.results import Results
from crosslift.streams import stream
from crosslift.transfer.answers import Analysis, Answer, verdict
from crosslift.transfer.estimates.contrast_bootstrap import bootstrap_contrasts
from crosslift.transfer.estimates.multiplicity import holm
from crosslift.transfer.estimates.resampling import random_signs, sign_flip_p_value

OPTIONS: dict[str, type] = {"control": dict, "match": list, "unit": float}
NUM_FLIPS = 9999


def analyse(results: Results, options: Mapping[str, Any]) -> Analysis:
    """One answer per run and evaluation, and a table of differences per language.

    Args:
        results: with scores of single items.
        options: see the module's docstring.

    Raises:
        TransferError: there are no scores of single items, or runs lack items or a control.
    """
    if results.scores.is_empty():
        raise TransferError("against: the source has no scores of single items. Map their column: columns.item.")
    unit = float(options.get("unit", 1.0))
    answers: list[Answer] = []
    rows: list[dict[str, Any]] = []
    for (evaluation, metric), part in results.scores.group_by("evaluation", "metric", maintain_order=True):
        runs, tags, values = _score_array(part, str(evaluation))
        treatments, controls = _pairs(results.runs, runs, options)
        groups = [np.arange(len(tags)), *(np.array([place]) for place in range(len(tags)))]
        found = bootstrap_contrasts(values, treatments, controls, groups)
        differences = (values[treatments] - values[controls]).mean(axis=1)
        flips = random_signs(values.shape[2], NUM_FLIPS, stream(0, "against", str(evaluation), str(metric)))
        adjusted = holm(sign_flip_p_value(differences, flips))
        for row, (treatment, control) in enumerate(zip(treatments, controls, strict=True)):
            low, high = unit * found.low[row, 0], unit * found.high[row, 0]
            answers.append(
                Answer(
                    question=f"{runs[treatment]} beats {runs[control]}", about=str(evaluation),
                    measure=f"{metric}, mean of {len(tags)} languages", value=unit * float(found.value[row, 0]),
                    low=float(low), high=float(high), runs=[runs[treatment], runs[control]],
                    verdict=verdict(float(low), float(high)) if adjusted[row] < 0.05 else "cannot tell",
                    note=f"{values.shape[2]} items, p = {adjusted[row]:.2g} after Holm over {len(treatments)} runs",
                )
            )  # fmt: skip
            rows += [
                {"evaluation": evaluation, "metric": metric, "run": runs[treatment], "control": runs[control],
                 "language": label, "difference": unit * float(found.value[row, place]),
                 "low": unit * float(found.low[row, place]), "high": unit * float(found.high[row, place])}
                for place, label in enumerate(["all", *tags])
            ]  # fmt: skip
    return Analysis(kind="against", answers=answers, tables={"differences": pl.DataFrame(rows)})


def _score_array(part: pl.DataFrame, evaluation: str) -> tuple[list[str], list[str], np.ndarray]:
    """Names of runs, tags, and scores of shape (runs, languages, items). Missing scores raise an error, because means
    over different items are not comparable."""
    runs, tags = part["run"].unique().sort().to_list(), part["language"].unique().sort().to_list()
    items = part["item_id"].unique().sort().to_list()
    whole = part.filter(pl.col("value").is_not_null())
    if whole.height != len(runs) * len(tags) * len(items):
        counts = whole.group_by("run", "language").len().filter(pl.col("len") < len(items)).sort("run", "language")
        first = counts.row(0) if counts.height else ("a run", "a language", 0)
        raise TransferError(
            f"against: {evaluation} has {len(items)} items, and {first[0]} in {first[1]} has {first[2]} of them. "
            "Select rows with equal items: source.where."
        )
    ordered = whole.sort("run", "language", "item_id")["value"].to_numpy()
    return runs, tags, ordered.reshape(len(runs), len(tags), len(items))


def _pairs(table: pl.DataFrame, runs: list[str], options: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Positions of every treatment run and of its control run."""
    match = list(options.get("match", []))
    table = table.filter(pl.col("run").is_in(runs))
    controls = table
    for column, value in dict(options["control"]).items():
        if column not in table.columns:
            raise TransferError(f"against: control.{column} is not a column. Columns: {', '.join(table.columns)}.")
        controls = controls.filter(pl.col(column) == value)
    of: dict[tuple[object, ...], str] = {}
    for row in controls.iter_rows(named=True):
        key = tuple(row[column] for column in match)
        if key in of:
            raise TransferError(
                f"against: {of[key]} and {row['run']} are both the control. Add columns to control or match."
            )
        of[key] = row["run"]
    place = {run: number for number, run in enumerate(runs)}
    pairs = [
        (place[row["run"]], place[of[key]])
        for row in table.sort("run").iter_rows(named=True)
        if (key := tuple(row[column] for column in match)) in of and row["run"] not in of.values()
    ]
    if not pairs:
        raise TransferError(f"against: no run has a control where {dict(options['control'])}.")
    treatments, chosen = (np.array(side) for side in zip(*pairs, strict=True))
    return treatments, chosen
