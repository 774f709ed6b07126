"""Zero-shot transfer against direct training (arXiv 2604.13286, section 4.3 and Figures 4 and 9, P1).

Shares are counted for all models together, for the largest model of each family (the paper reports Qwen3-8B and
Gemma-3-4B), and for each model; with our intervals and with the paper's two-sided t-test.
"""

from __future__ import annotations

import math
from typing import Any

import polars as pl
from scipy import stats

from crosslift.languages.language import language
from crosslift.scores import RANGES
from crosslift.transfer.estimates.language_groups import ENGLISH
from crosslift.transfer.grid.bilingual import coverage_grid
from crosslift.transfer.grid.cells import Cells

ALL_MODELS, LARGEST_MODELS = "all models", "largest of each family"
SIGNIFICANT = 0.05


def zero_shot_differences(cells: Cells) -> pl.DataFrame:
    """P1's Figures 4 and 9: zero-shot transfer from mixtures of L languages minus direct bilingual training.

    Direct is the bilingual mixture with the language (for English, the mean over the bilingual mixtures); zero-shot is
    the mean over the mixtures of L >= 3 languages without it.

    Returns:
        evaluation, model, num_parameters, language, resource, num_languages, direct, zero_shot, mean, low, high
        (zero-shot minus direct, ours), in the unit of the scores; p (as published: two-sided t-test, see
        `independent_t_test`; null for ratings).
    """
    size = pl.col("languages").list.len()
    grid = coverage_grid(cells)
    bilinguals = grid.where(size == 2, pl.col("languages").list.contains(ENGLISH))
    larger = grid.where(size >= 3)
    rows: list[dict[str, Any]] = []
    keys = bilinguals.table.select("evaluation", "model", "language").unique(maintain_order=True)
    for evaluation, model, tag in keys.iter_rows():
        here = {"evaluation": evaluation, "model": model, "language": tag}
        direct = bilinguals.where(pl.col("languages").list.contains(tag), **here)
        without = larger.where(~pl.col("languages").list.contains(tag), **here)
        if not direct.table.height:
            continue
        for count in sorted(without.table["languages"].list.len().unique()):
            shot = without.where(size == count)
            difference = shot.mean() - direct.mean()
            rows.append(
                here
                | {"resource": language(tag).resource, "num_languages": int(count)}
                | {"direct": float(direct.mean()[0]), "zero_shot": float(shot.mean()[0])}
                | {"num_parameters": direct.table["num_parameters"][0]}
                | cells.interval(difference).as_columns()
                | {"p": independent_t_test(shot, direct, cells.num_items[evaluation])}
            )
    return (
        pl.DataFrame(rows, schema_overrides={"p": pl.Float64, "num_parameters": pl.Int64}) if rows else pl.DataFrame()
    )


def independent_t_test(one: Cells, other: Cells, num_items: int) -> float | None:
    """Two-sided p-value of Student's t-test for two independent samples of answers that are right or wrong.

    The paper names the test but not its unit; here it is an answer (inferred). Scores other than 0 and 1 vary less
    than the test assumes, so it is then conservative.

    Args:
        one: cells of the first sample.
        other: cells of the second sample.
        num_items: items behind each cell.

    Returns:
        The p-value; None for ratings, and where no answer varies.
    """
    if set(one.table["metric"]) & set(RANGES):
        return None
    sizes = [part.table.height * num_items for part in (one, other)]
    means = [float(part.mean()[0]) for part in (one, other)]
    squares = sum(n * mean * (1 - mean) for n, mean in zip(sizes, means, strict=True))
    df = sum(sizes) - 2
    if df < 1 or squares <= 0:
        return None
    error = math.sqrt(squares / df * sum(1 / n for n in sizes))
    return float(2 * stats.t.sf(abs(means[0] - means[1]) / error, df))


def count_not_worse(found: pl.DataFrame) -> pl.DataFrame:
    """P1's section 4.3: cases in which zero-shot is not significantly worse than direct, by models, group and L.

    Args:
        found: a table of `zero_shot_differences`.

    Returns:
        models ("all models", "largest of each family", then each model), group ("English", "high", "low"),
        num_languages, num_cases, not_worse, better (ours: the interval), not_worse_t, better_t (as published: the
        t-test).
    """
    if found.is_empty():
        return found
    group = pl.when(pl.col("language") == ENGLISH).then(pl.lit("English")).otherwise(pl.col("resource"))
    significant = (pl.col("p") < SIGNIFICANT).fill_null(False)
    table = found.with_columns(group=group, significant=significant)
    parts = [(ALL_MODELS, table)]
    largest = _largest(found)
    models = found["model"].unique(maintain_order=True).to_list()
    if len(models) > 1:
        if len(largest) < len(models):
            parts.append((LARGEST_MODELS, table.filter(pl.col("model").is_in(largest))))
        parts += [(model, table.filter(pl.col("model") == model)) for model in models]
    order = pl.col("group").replace_strict({"English": 0, "high": 1, "low": 2}, return_dtype=pl.Int64)
    return pl.concat(
        part.group_by("group", "num_languages")
        .agg(
            num_cases=pl.len(),
            not_worse=(pl.col("high") >= 0).sum(),
            better=(pl.col("low") > 0).sum(),
            not_worse_t=(~(pl.col("significant") & (pl.col("mean") < 0))).sum(),
            better_t=(pl.col("significant") & (pl.col("mean") > 0)).sum(),
        )
        .sort(order, "num_languages")
        .select(pl.lit(name).alias("models"), pl.all())
        for name, part in parts
    )


def _largest(found: pl.DataFrame) -> list[str]:
    """The largest model of each family of models; a family is what precedes the first hyphen of the name."""
    sizes = found.select("model", "num_parameters").unique("model", maintain_order=True).drop_nulls()
    family = pl.col("model").str.split("-").list.first()
    largest = (
        sizes.sort("num_parameters").group_by(family.alias("family"), maintain_order=True).agg(pl.col("model").last())
    )
    return largest["model"].to_list()
