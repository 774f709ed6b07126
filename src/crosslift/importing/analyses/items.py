"""Correctness per item of one or several runs in parallel languages.

    unit        factor for accuracies in the output

Accuracy per language with Wilson's interval (items of one language are independent); the mean over languages with items
resampled jointly; the share of items correct in all languages and in none; chance-corrected agreement; McNemar's exact
test of every pair of languages, with Holm's correction over all pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl

from crosslift.errors import TransferError
from crosslift.importing.results import Results
from crosslift.streams import stream
from crosslift.transfer.answers import Analysis, Answer
from crosslift.transfer.estimates.multiplicity import holm
from crosslift.transfer.estimates.resampling import bootstrap_weights
from crosslift.transfer.estimates.wilson import wilson_interval
from crosslift.transfer.variance.agreement import consistency, mcnemar

OPTIONS: dict[str, type] = {"unit": float}
NUM_RESAMPLES = 4000


def analyse(results: Results, options: Mapping[str, Any]) -> Analysis:
    """Accuracies and agreement per run, and a table of tests of all pairs of languages.

    Args:
        results: with scores of single items.
        options: see the module's docstring.

    Raises:
        TransferError: there are no scores of single items.
    """
    unit = float(options.get("unit", 1.0))
    if results.scores.is_empty():
        raise TransferError("items: the source has no scores of single items. Map their column: columns.item.")
    answers, tables = [], []
    for (run,), part in results.scores.group_by("run", maintain_order=True):
        wide = part.pivot(on="language", index="item_id", values="value").drop_nulls().sort("item_id")
        tags = sorted(wide.columns[1:])
        right = wide.select(tags).to_numpy()
        answers += _run_answers(str(run), tags, right, unit)
        places = combinations(range(len(tags)), 2)
        pairs = [(tags[a], tags[b], *mcnemar(right[:, a], right[:, b])) for a, b in places]
        table = pl.DataFrame(
            pairs, schema=["language", "other", "only_first", "only_second", "p"], orient="row"
        ).with_columns(run=pl.lit(run))
        tables.append(table.with_columns(p_adjusted=pl.Series(holm(table["p"].to_numpy()))))
        sure = tables[-1].filter(pl.col("p_adjusted") < 0.05).height
        answers.append(
            Answer(
                question="Which languages differ?", about=str(run),
                measure=f"pairs of {len(pairs)} that differ (McNemar, Holm)",
                value=float(sure), runs=[str(run)],
            )
        )  # fmt: skip
    return Analysis(kind="items", answers=answers, tables={"pairs_of_languages": pl.concat(tables)})


def _run_answers(run: str, tags: list[str], right: np.ndarray, unit: float) -> list[Answer]:
    n = len(right)
    weights = bootstrap_weights(n, NUM_RESAMPLES, stream(0, "items", run))
    means = (weights.T @ right.mean(axis=1)) / weights.sum(axis=0)
    low, high = np.quantile(means, [0.025, 0.975])
    naive = wilson_interval(round(right.sum()), right.size)
    found = consistency(right)
    answers = [
        Answer(
            question="How good is it?", about=f"{run}, mean of {len(tags)} languages", measure="accuracy",
            value=unit * float(right.mean()), low=unit * float(low), high=unit * float(high), runs=[run],
            note=f"items resampled in all languages at once; as if all answers were independent: "
            f"[{unit * naive[0]:.1f}, {unit * naive[1]:.1f}]",
        ),
        Answer(
            question="Is it the same in all languages?", about=run, measure="items right in all languages, %",
            value=100 * found.share_all_correct, low=100 * wilson_interval(round(found.share_all_correct * n), n)[0],
            high=100 * wilson_interval(round(found.share_all_correct * n), n)[1], runs=[run],
            note=f"wrong in all {100 * found.share_all_wrong:.1f} %; answers agree in {100 * found.agreement:.1f} % of "
            f"pairs of languages, kappa {found.kappa:.2f}",
        ),
    ]  # fmt: skip
    for place, tag in enumerate(tags):
        low, high = wilson_interval(round(right[:, place].sum()), n)
        answers.append(
            Answer(
                question="How good is it?", about=f"{run}, {tag}", measure="accuracy", runs=[run],
                value=unit * float(right[:, place].mean()), low=unit * low, high=unit * high, note="Wilson",
            )
        )  # fmt: skip
    return answers
