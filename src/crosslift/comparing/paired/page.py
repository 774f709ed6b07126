"""The page, tables and sentences of a comparison of two studies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from crosslift.comparing.definition_differences import difference_lines
from crosslift.comparing.figures import forest
from crosslift.comparing.left_out import first_lines, left_out_lines
from crosslift.comparing.paired.compare import Comparison
from crosslift.comparing.written import write_tables
from crosslift.reporting.figure import Figure
from crosslift.reporting.questions.page import PageHeader, write_page
from crosslift.reporting.wording import factor_of, interval_text, p_value_text, points_text, points_word, unit_of
from crosslift.transfer.answers import Analysis, Answer, Verdict
from crosslift.transfer.estimates.language_groups import FIXED

MAX_LINES = 12
"""Lines per kind in the terminal; the page has all."""


def sentence(found: Comparison, row: dict[str, Any]) -> str:
    """State the difference of a row of the estimates with its verdict.

    Args:
        found: the comparison.
        row: a row of `found.estimates`.
    """
    where = f"{row['evaluation']}, {row['model']}, {row['mixture']}"
    if row["value"] is None or row["low"] is None:
        return f"{where}: no estimate ({row['note']})."
    metric = row["metric"]
    numbers = f"{points_text(row['value'], signed=True, metric=metric)} {points_word(metric)}, "
    numbers += f"{found.level:.0%} interval {interval_text(row, signed=True)}"
    says: dict[Verdict, str] = {
        "supported": f"{found.second} scores higher than {found.first}: {numbers}.",
        "not supported": f"{found.second} scores lower than {found.first}: {numbers}.",
        "cannot tell": f"{found.second} minus {found.first}: {numbers}. A loss of "
        f"{points_text(-row['low'], metric=metric)} and a gain of {points_text(row['high'], metric=metric)} "
        f"{points_word(metric)} are both compatible with the data.",
    }
    return f"{where}: {says[row['verdict']]}{_correction(found, row)}"


def _correction(found: Comparison, row: dict[str, Any]) -> str:
    if row["p_adjusted"] is None:
        return ""
    lost = row["verdict"] != "cannot tell" and row["p_adjusted"] > 1 - found.level
    survives = ", which does not survive the correction" if lost else ""
    return f" Adjusted {p_value_text(row['p_adjusted'])}{survives}."


def main_rows(found: Comparison) -> list[dict[str, Any]]:
    """Return the summaries, then each mixture, over all languages in the primary metric."""
    rows = found.estimates.filter(pl.col("is_primary_metric"), languages="all").filter(pl.col("part") != "seed")
    order = pl.col("part").replace_strict({"summary": 0, "mixture": 1}, return_dtype=pl.Int64)
    return rows.sort("evaluation", "model", order, maintain_order=True).rows(named=True)


def summary_lines(found: Comparison) -> list[str]:
    """Lines for the terminal: what is compared, what differs, the verdicts, and what is left out."""
    rows = main_rows(found)
    summaries = [row for row in rows if row["part"] == "summary"] or rows
    return [
        f"{found.second} minus {found.first}: {found.num_cells:,} cells in common, paired item by item",
        *_same_line(found),
        *(f"differs: {line}" for line in first_lines(difference_lines(found.differences), MAX_LINES)),
        *(sentence(found, row) for row in summaries),
        *_seed_line(rows),
        *(f"not compared: {line}" for line in first_lines(left_out_lines(found.left_out), MAX_LINES)),
    ]


def _same_line(found: Comparison) -> list[str]:
    if not found.num_same:
        return []
    runs = "1 run is" if found.num_same == 1 else f"{found.num_same} runs are"
    return [f"{runs} the same result in both definitions and not part of any mean"]


def _seed_line(rows: list[dict[str, Any]]) -> list[str]:
    single = any("one seed" in row["note"] for row in rows)
    return ["One training seed: the intervals do not contain the noise between runs."] if single else []


def write_comparison(folder: Path, found: Comparison) -> Path:
    """Write index.html, answers.csv, runs.parquet, figures/, and tables/ as CSV and Parquet.

    Args:
        folder: of the page.
        found: the comparison.

    Returns:
        The path of the page.
    """
    rows = main_rows(found)
    answers = [
        Answer(
            question=f"{found.second} scores higher than {found.first}: {row['model']}, {row['mixture']}",
            about=row["evaluation"],
            measure=f"{row['metric']}, mean of all languages, difference in {points_word(row['metric'])}",
            value=None if row["value"] is None else factor_of(row["metric"]) * row["value"],
            low=None if row["low"] is None else factor_of(row["metric"]) * row["low"],
            high=None if row["high"] is None else factor_of(row["metric"]) * row["high"],
            verdict="" if row["same_result"] else row["verdict"],
            runs=_runs(found, row),
            note="; ".join(filter(None, [_correction(found, row).strip(), row["note"]])),
        )
        for row in rows
    ]
    tables = {"estimates": found.estimates, "differences": found.differences, "not_compared": found.left_out}
    head = PageHeader(
        eyebrow="Comparison",
        title=f"{found.second} minus {found.first}",
        question="What changes in the scores of the same model, mixture, seed, evaluation and language, item by item?",
        facts=[
            (f"{found.num_cells:,}", "cells in common"),
            (f"{max(found.estimates['num_items']):,}", "items at most"),
            (f"{found.differences.height:,}", "differences"),
            (f"{found.left_out.height:,}", "reasons why something is not compared"),
        ],
        files=[*write_tables(folder, tables), ("runs.parquet", "the compared runs of both studies")],
        runs_file="runs.parquet",
        sections=[
            ("Results", [*(sentence(found, row) for row in rows), *_seed_line(rows), *_same_line(found)]),
            ("What differs", difference_lines(found.differences)),
            ("Not compared", left_out_lines(found.left_out) or ["Every cell and item of both studies is compared."]),
        ],
    )
    write_tables(folder, {"runs": found.runs}, below="", csv=False)
    return write_page(folder, head, [Analysis(kind="comparison", answers=answers, tables={})], drawings=figures(found))


def _runs(found: Comparison, row: dict[str, Any]) -> list[str]:
    mixture = pl.lit(True) if row["part"] == "summary" else pl.col("mixture") == row["mixture"]
    return found.runs.filter(pl.col("model") == row["model"], mixture)["run"].to_list()


def figures(found: Comparison) -> list[Figure]:
    """Draw the forest plots: each mixture with the summaries, and every cell."""
    table = found.estimates.filter("is_primary_metric", ~pl.col("same_result")).with_columns(
        panel=pl.format("{} · {}", "model", "evaluation"), is_summary=pl.col("part") == "summary"
    )
    axis = f"{found.second} minus {found.first} ({unit_of(table['metric'].unique(maintain_order=True))})"
    whole = table.filter(pl.col("languages") == "all", pl.col("part") != "seed").with_columns(label=pl.col("mixture"))
    cells = table.filter(~pl.col("languages").is_in(FIXED), pl.col("part") != "summary")
    finest = cells.filter(
        (pl.col("part") == "seed") | (pl.len().over("model", "mixture", "evaluation", "languages") == 1)
    )
    finest = finest.with_columns(
        label=pl.concat_str(
            "mixture", pl.format(".s{}", "seed").fill_null(""), pl.format(" · {}", "languages"), ignore_nulls=True
        )
    )
    return [
        forest(
            whole,
            name="mixtures",
            title="Mean over all languages",
            axis_title=axis,
            caption="Each mixture, mean over all evaluation languages and paired seeds. Large marks are means over the "
            "trained mixtures of a model.",
        ),
        forest(
            finest,
            name="cells",
            title="Every cell",
            axis_title=axis,
            caption="Every pair of runs in every language. The intervals are over items and contain no noise between "
            "runs where a pair is drawn alone.",
        ),
    ]
