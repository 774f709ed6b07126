"""What the two studies print, beside what the same cells say when their dependence is kept.

Each function returns a frame with the number as printed and its printed interval (`published`), and ours: paired, and
resampled by item over all cells at once (`cells`). P1 is arXiv 2604.13286, P2 is arXiv 2504.16677. Run-to-run noise is
in neither, as one seed does not tell it; of plateaus alone, the roughness of the curves does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
import polars as pl
from scipy import stats

from crosslift.languages.language import language
from crosslift.streams import stream
from crosslift.transfer.estimates.language_groups import ENGLISH
from crosslift.transfer.grid import as_published as published
from crosslift.transfer.grid.cells import Cells, Spread
from crosslift.transfer.grid.plateau import plateau
from crosslift.transfer.variance.replicate_noise import noise_of_curves

SETTINGS: tuple[published.Group, ...] = ("English", "direct", "transfer")
NUM_PRINTED = 2000
"""Resamples of cells for the intervals that the papers bootstrap."""
TEST_SHARE = 0.3
"""Of the rows, held out by P1's regression."""
PLATEAU_MARGIN = 0.02
"""Two points below the best a curve is held to be flat."""


def _pairs(cells: Cells) -> tuple[pl.DataFrame, np.ndarray]:
    """Bilingual minus English-only: one row per pair (evaluation, model, partner, language, group), and its draws."""
    trained = pl.col("languages").list.len()
    english = pl.col("languages").list.contains(ENGLISH)
    grid = coverage(cells)
    controls = grid.where(trained == 1, english)
    control = controls.index("evaluation", "model", "language")
    bilingual = grid.where(trained == 2, english)
    rows, draws = [], [np.empty((0, cells.draws.shape[1]))]
    for place, row in enumerate(bilingual.table.iter_rows(named=True)):
        key = (row["evaluation"], row["model"], row["language"])
        if key not in control:
            continue
        partner = next(tag for tag in row["languages"] if tag != ENGLISH)
        asked = row["language"]
        group = "English" if asked == ENGLISH else "direct" if asked == partner else "transfer"
        rows.append(
            {name: row[name] for name in ("evaluation", "model", "language")} | {"partner": partner, "group": group}
        )
        draws.append((bilingual.draws[place] - controls.draws[control[key]])[None])
    return pl.DataFrame(rows), np.concatenate(draws)


def coverage(cells: Cells, *, base: bool = False) -> Cells:
    """Per evaluation the first family with mixtures of one and of two languages: the grid of a study without its arms,
    which ask other questions (a fixed total, say). `base`: the untouched models, too."""
    first: dict[str, str] = {}
    sizes = cells.table.group_by("evaluation", "family", maintain_order=True).agg(
        pl.col("languages").list.len().unique()
    )
    for evaluation, family, found in sizes.iter_rows():
        if family and {1, 2} <= set(found):
            first.setdefault(evaluation, family)
    own = pl.col("family") == pl.col("evaluation").replace_strict(first, default="", return_dtype=pl.String)
    return cells.where((own & (pl.col("family") != "")) | (pl.lit(base) & (pl.col("mixture") == "base")))


def bilingual(cells: Cells) -> pl.DataFrame:
    """P1's Figure 3 and Table 2: bilingual minus English-only by evaluation and setting, and over all evaluations.

    Returns:
        evaluation ("all" for all), group, num_cells, median, median_low, median_high (as printed: bootstrap over
        cells), num_wins, share, share_low, share_high (as printed: Wilson), mean, low, high (ours).
    """
    table, draws = _pairs(cells)
    rows: list[dict[str, Any]] = []
    if table.is_empty():
        return pl.DataFrame()
    for evaluation, group in product([*table["evaluation"].unique(maintain_order=True), "all"], SETTINGS):
        chosen = (table["group"] == group) & ((table["evaluation"] == evaluation) | (evaluation == "all"))
        part = draws[chosen.to_numpy()]
        if not len(part):
            continue
        printed = published.wins(part[:, 0].tolist(), level=cells.level)
        low, high = _bootstrap_median(part[:, 0], cells.level)
        ours = cells.spread(part.mean(axis=0))
        rows.append(
            {
                "evaluation": evaluation,
                "group": group,
                "num_cells": len(part),
                "median": printed.median,
                "median_low": low,
                "median_high": high,
                "num_wins": printed.num_wins,
                "share": printed.share,
                "share_low": printed.low,
                "share_high": printed.high,
            }
            | _ours(ours)
        )
    return pl.DataFrame(rows)


def _bootstrap_median(values: np.ndarray, level: float) -> tuple[float, float]:
    generator = stream(0, "transfer", "printed", "median")
    drawn = generator.choice(values, size=(NUM_PRINTED, len(values)))
    low, high = np.quantile(np.median(drawn, axis=1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _ours(spread: Spread, prefix: str = "") -> dict[str, float]:
    return {f"{prefix}mean": spread.value, f"{prefix}low": spread.low, f"{prefix}high": spread.high}


def zero_shot(cells: Cells) -> pl.DataFrame:
    """P1's Figures 4 and 9: a language left out of L languages against the language beside English alone.

    Direct is the bilingual mixture with the language (of English: the mean over the bilingual ones); zero-shot is the
    mean over the mixtures of L >= 3 languages without it.

    Returns:
        evaluation, model, language, resource, num_languages, direct, zero_shot, mean, low, high (zero-shot minus
        direct, ours).
    """
    size = pl.col("languages").list.len()
    grid = coverage(cells)
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
                | _ours(cells.spread(difference))
            )
    return pl.DataFrame(rows)


def not_worse(found: pl.DataFrame) -> pl.DataFrame:
    """P1's section 4.3: in how many cases zero-shot is not significantly worse than direct, by group and L.

    Returns:
        group ("English", "high", "low"), num_languages, num_cases, not_worse, better.
    """
    if found.is_empty():
        return found
    group = pl.when(pl.col("language") == ENGLISH).then(pl.lit("English")).otherwise(pl.col("resource"))
    return (
        found.with_columns(group=group)
        .group_by("group", "num_languages")
        .agg(num_cases=pl.len(), not_worse=(pl.col("high") >= 0).sum(), better=(pl.col("low") > 0).sum())
        .sort(
            pl.col("group").replace_strict({"English": 0, "high": 1, "low": 2}, return_dtype=pl.Int64), "num_languages"
        )
    )


def regression(cells: Cells) -> pl.DataFrame:
    """P1's Table 3: the score of a cell on size, family, task, base, evaluation language in training, sqrt(L / max L).

    Ordinary least squares. Printed: intervals from a bootstrap over rows, R2 on a random 30 % of the rows, although
    rows of one run fall on both sides. Ours: intervals from resampled items, R2 on mixtures that are left out in turn.

    Returns:
        term, mean (the coefficient), printed_low, printed_high, low, high (ours); then two rows with an R2 as `mean`.
        Empty where sizes or numbers of languages do not vary.
    """
    part = coverage(cells, base=True).where(pl.col("num_parameters").is_not_null())
    if part.table.is_empty():
        return pl.DataFrame()
    design, terms = _design(part.table)
    if not {"log10 size", "sqrt(L / max L)"} <= set(terms):
        return pl.DataFrame()
    solve = np.linalg.pinv(design)
    ours = solve @ part.draws  # (terms, 1 + resamples)
    generator = stream(0, "transfer", "printed", "regression")
    picks = generator.integers(0, len(design), size=(NUM_PRINTED, len(design)))
    printed = np.stack([np.linalg.pinv(design[pick]) @ part.draws[pick, 0] for pick in picks[:500]])
    tail = (1 - cells.level) / 2
    rows: list[dict[str, Any]] = []
    for place, term in enumerate(terms):
        low, high = np.quantile(printed[:, place], [tail, 1 - tail])
        rows.append(
            {"term": term, "printed_low": float(low), "printed_high": float(high)} | _ours(part.spread(ours[place]))
        )
    test = generator.permutation(len(design)) < TEST_SHARE * len(design)
    by_rows = _r2(design, part.draws[:, 0], [test])
    mixtures = part.table["mixture"].to_numpy()
    by_mixture = _r2(design, part.draws[:, 0], [mixtures == name for name in np.unique(mixtures)])
    rows.append({"term": "R2, random rows held out", "mean": by_rows})
    rows.append({"term": "R2, mixtures left out in turn", "mean": by_mixture})
    return pl.DataFrame(rows)


def _design(table: pl.DataFrame) -> tuple[np.ndarray, list[str]]:
    """Columns that vary, with an intercept first."""
    counts = table["languages"].list.len().cast(pl.Float64).to_numpy()
    columns = {
        "intercept": np.ones(table.height),
        "log10 size": np.log10(table["num_parameters"].cast(pl.Float64).to_numpy()),
    }
    families = table["model"].str.split("-").list.first()
    for name in families.unique().sort()[1:]:
        columns[f"family {name}"] = (families == name).cast(pl.Float64).to_numpy()
    for name in table["evaluation"].unique().sort()[1:]:
        columns[f"evaluation {name}"] = (table["evaluation"] == name).cast(pl.Float64).to_numpy()
    columns["base model"] = (table["mixture"] == "base").cast(pl.Float64).to_numpy()
    seen = [tag in trained for tag, trained in table.select("language", "languages").iter_rows()]
    columns["evaluation language in training"] = np.array(seen, dtype=float)
    columns["sqrt(L / max L)"] = np.sqrt(counts / max(counts.max(), 1))
    kept = {name: column for name, column in columns.items() if name == "intercept" or np.ptp(column) > 0}
    return np.stack(list(kept.values()), axis=1), list(kept)


def _r2(design: np.ndarray, values: np.ndarray, folds: Sequence[np.ndarray]) -> float:
    """1 - SSE / SST over the rows of all folds, each predicted by the rest; NaN where the values do not vary."""
    errors, spread = 0.0, 0.0
    for fold in folds:
        fitted = np.linalg.pinv(design[~fold]) @ values[~fold]
        errors += float(((values[fold] - design[fold] @ fitted) ** 2).sum())
        spread += float(((values[fold] - values[~fold].mean()) ** 2).sum())
    return 1 - errors / spread if spread else float("nan")


def doses(cells: Cells) -> Iterator[tuple[dict[str, str], Cells, tuple[str, ...], tuple[str, ...]]]:
    """Each dose series: its evaluation, model and family, its cells, and its seen and unseen languages (of the largest
    dose, English in neither)."""
    series = cells.where(pl.col("dose").is_not_null())
    for evaluation, model, family in (
        series.table.select("evaluation", "model", "family").unique(maintain_order=True).iter_rows()
    ):
        part = series.where(evaluation=evaluation, model=model, family=family)
        largest = part.table.sort("dose")["languages"][-1].to_list()
        tags = [tag for tag in part.table["language"].unique(maintain_order=True) if tag != ENGLISH]
        seen = tuple(tag for tag in tags if tag in largest)
        yield (
            {"evaluation": evaluation, "model": model, "family": family},
            part,
            seen,
            tuple(tag for tag in tags if tag not in seen),
        )


def by_dose(part: Cells, tags: Sequence[str]) -> tuple[list[int], np.ndarray]:
    """Doses and the mean over languages at each, (doses, 1 + resamples)."""
    found = sorted(part.table["dose"].unique())
    return found, np.stack([part.where(pl.col("language").is_in(tags), dose=dose).mean() for dose in found])


def dose_statistics(cells: Cells) -> pl.DataFrame:
    """P2's Table 2 and its gains, one row per dose series.

    Returns:
        evaluation, model, family, spearman (seen and unseen over doses, as printed) with its interval, gain (best
        relative performance minus that without any, as printed), mean, low, high (ours: non-English at the largest dose
        minus none), gap_change with its interval (seen minus unseen, largest dose minus none), plateau with its
        interval (smallest dose that is within PLATEAU_MARGIN of the best, mean over non-English), plateau_told (false
        where the interval holds all doses; null where too few doses say how rough the curve is).
    """
    rows: list[dict[str, Any]] = []
    series = []
    for about, part, seen, unseen in doses(cells):
        found, others = by_dose(part, [*seen, *unseen])
        if len(found) >= 3 and 0 in found and seen and unseen:
            series.append((about, part, seen, unseen, found, others))
    for about, part, seen, unseen, found, others in series:
        _, of_seen = by_dose(part, seen)
        _, of_unseen = by_dose(part, unseen)
        row = about | {"spearman": published.seen_unseen_correlation(of_seen[:, 0].tolist(), of_unseen[:, 0].tolist())}
        ranks = [stats.rankdata(side, axis=0) for side in (of_seen, of_unseen)]
        correlation = part.spread(_correlation(*ranks))
        row |= {"spearman_low": max(-1.0, correlation.low), "spearman_high": min(1.0, correlation.high)}
        if ENGLISH in set(part.table["language"]):
            _, english = by_dose(part, [ENGLISH])
            with np.errstate(divide="ignore", invalid="ignore"):
                row["gain"] = published.gain_of_dose((others / english)[:, 0].tolist(), found)
        start, end = found.index(0), len(found) - 1
        row |= _ours(part.spread(others[end] - others[start]))
        gap = of_seen - of_unseen
        row |= _ours(part.spread(gap[end] - gap[start]), "gap_")
        alike = [one for other, *_, one in series if _of(other) == _of(about)]
        rows.append(row | _plateau(found, others[:, 0], [one[1:, 0] for one in alike]))
    kinds = dict.fromkeys(("plateau", "plateau_low", "plateau_high"), pl.Float64) | {"plateau_told": pl.Boolean}
    return pl.DataFrame(rows, schema_overrides=kinds)


def _of(about: dict[str, str]) -> tuple[str, str]:
    return about["evaluation"], about["model"]


def _plateau(found: list[int], curve: np.ndarray, alike: Sequence[np.ndarray]) -> dict[str, Any]:
    """Where a curve may begin to be flat, by the roughness of all curves of its model and evaluation."""
    noise = noise_of_curves(alike)
    if noise is None:
        return {"plateau": None, "plateau_low": None, "plateau_high": None, "plateau_told": None}
    flat = plateau(curve, found, noise, margin=PLATEAU_MARGIN)
    return {"plateau": flat.dose, "plateau_low": flat.low, "plateau_high": flat.high, "plateau_told": flat.told}


def _correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pearson's, column by column; 0 where a column does not vary."""
    one, two = first - first.mean(axis=0), second - second.mean(axis=0)
    scale = np.sqrt((one**2).sum(axis=0) * (two**2).sum(axis=0))
    return np.asarray(np.divide((one * two).sum(axis=0), scale, out=np.zeros_like(scale), where=scale > 0))
