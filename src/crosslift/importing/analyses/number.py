"""Scores against the number of training languages at a fixed total amount of data.

unit        factor for values in the output
margin      of the plateau, in that unit
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from crosslift.errors import TransferError
from crosslift.importing.results import Results
from crosslift.transfer.answers import Analysis, Answer, Verdict
from crosslift.transfer.grid.plateau import bias_corrected, gain_over_first, plateau
from crosslift.transfer.variance.replicate_noise import noise_from_replicates

OPTIONS: dict[str, type] = {"unit": float, "margin": float}


def analyse(results: Results, options: Mapping[str, Any]) -> Analysis:
    """The gain from more languages, the plateau, and a table of the curve.

    Args:
        results: with training languages and replicates.
        options: see the module's docstring.

    Raises:
        TransferError: there are no replicates, or fewer than three numbers of languages.
    """
    unit, margin = float(options.get("unit", 1.0)), float(options.get("margin", 1.0))
    table = results.table().with_columns(number=pl.col("languages").list.len())
    # Languages have equal weight within a task, and tasks within a run.
    runs = (
        table.group_by("run", "number", "task", maintain_order=True)
        .agg(pl.col("value").mean())
        .group_by("run", "number", maintain_order=True)
        .agg(pl.col("value").mean())
    )
    groups = [(int(number), part) for (number,), part in runs.sort("number").group_by("number", maintain_order=True)]
    noise = noise_from_replicates([part["value"].to_numpy() for _, part in groups])
    if noise is None or len(groups) < 3:
        raise TransferError("number: needs replicates and at least three numbers of languages.")
    curve = np.array([part["value"].mean() for _, part in groups])
    per_point = replace(noise, variance=noise.variance / float(np.mean([part.height for _, part in groups])))
    numbers = [number for number, _ in groups]
    gain = bias_corrected(gain_over_first, [curve], [per_point])
    found = plateau(curve, numbers, per_point, margin=margin / unit)
    verdict: Verdict = "supported" if gain.low > 0 else "cannot tell"
    names = runs["run"].to_list()
    answers = [
        Answer(
            question="Do more languages help at the same amount of data?",
            about=f"{numbers[0]} to {numbers[-1]} languages",
            measure="the best number minus the smallest", value=unit * gain.observed, low=unit * gain.low,
            high=unit * gain.high, verdict=verdict, runs=names,
            note=f"without the bias of a maximum: {unit * gain.value:.2f}; run-to-run sd "
            f"{unit * noise.standard_deviation:.2f} ({noise.source})",
        ),
        Answer(
            question="From how many languages on is nothing gained?", about=f"margin {margin:g}",
            measure="plateau, languages", value=found.dose, low=found.low, high=found.high,
            verdict="" if found.identified else "cannot tell", runs=names,
        ),
    ]  # fmt: skip
    points = pl.DataFrame({"number": numbers, "mean": unit * curve, "runs": [part.height for _, part in groups]})
    return Analysis(kind="number", answers=answers, tables={"curve": points})
