"""The page, tables and sentences of pooled studies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from crosslift.comparing.definition_differences import definition_differences, difference_lines
from crosslift.comparing.figures import forest
from crosslift.comparing.left_out import first_lines, left_out_lines
from crosslift.comparing.pooled.pool import Pooled
from crosslift.comparing.result_set import ResultSet
from crosslift.comparing.written import write_tables
from crosslift.reporting.figure import Figure
from crosslift.reporting.questions.page import PageHeader, write_page
from crosslift.reporting.wording import factor_of, interval_text, p_value_text, points_text, points_word, unit_of
from crosslift.scores import RUNS
from crosslift.transfer.answers import Analysis, Answer, Verdict, verdict
from crosslift.transfer.estimates.language_groups import FIXED

MAX_LINES = 12
"""Lines per kind in the terminal; the page has all."""


def main_rows(found: Pooled) -> list[dict[str, Any]]:
    """Return the gains over all languages in the primary metric, primary contrasts first; scores if there is none."""
    rows = found.estimates.filter("is_primary_metric", languages="all")
    gains = rows.filter(estimand="gain")
    chosen = rows.filter(estimand="score") if gains.is_empty() else gains
    return chosen.sort(~pl.col("primary"), maintain_order=True).rows(named=True)


def sentence(found: Pooled, row: dict[str, Any]) -> str:
    """State a pooled estimate with its verdict and the heterogeneity between studies."""
    where = f"{row['evaluation']}, {row['model']}"
    metric = row["metric"]
    numbers = f"{points_text(row['value'], signed=row['control'] != '', metric=metric)} {points_word(metric)}, "
    numbers += f"{found.level:.0%} interval "
    numbers += interval_text(row, signed=row["control"] != "")
    effect = f"{row['num_studies']} studies, {row['effect']} effect of the study"
    says: dict[Verdict, str] = {
        "supported": f"{row['mixture']} scores higher than {row['control']}: {numbers}",
        "not supported": f"{row['mixture']} scores lower than {row['control']}: {numbers}",
        "cannot tell": f"{row['mixture']} against {row['control']}: {numbers}, cannot tell",
        "": f"{row['mixture']}: {numbers}",
    }
    adjusted = "" if row["p_adjusted"] is None else f" Adjusted {p_value_text(row['p_adjusted'])}."
    return f"{where}: {says[row['verdict']]} ({effect}).{adjusted} Deviation between studies: {row['heterogeneity']}."


def summary_lines(found: Pooled) -> list[str]:
    """Lines for the terminal: what is pooled, the verdicts, and what is left out."""
    mixtures = found.identities.filter(kind="mixture")
    shared = mixtures.filter(pl.col("study").n_unique().over("name") > 1)["name"].n_unique()
    return [
        f"{len(found.studies)} studies pooled: {', '.join(found.studies)}; {shared} mixtures in common",
        *(sentence(found, row) for row in main_rows(found)[:MAX_LINES]),
        *(f"note: {line}" for line in found.notes),
        *(f"not pooled: {line}" for line in first_lines(left_out_lines(found.left_out), MAX_LINES)),
    ]


def write_pooled(folder: Path, found: Pooled, sets: Sequence[ResultSet]) -> Path:
    """Write index.html, answers.csv, runs.parquet, figures/, and tables/ as CSV and Parquet.

    Args:
        folder: of the page.
        found: the pooled studies.
        sets: the studies.

    Returns:
        The path of the page.
    """
    rows = main_rows(found)
    answers = [
        Answer(
            question=f"{row['mixture']} scores higher than {row['control']}" if row["control"] else row["mixture"],
            about=f"{row['model']}, {row['evaluation']}",
            measure=f"{row['metric']}, mean of all languages, {points_word(row['metric'])}",
            value=factor_of(row["metric"]) * row["value"],
            low=factor_of(row["metric"]) * row["low"],
            high=factor_of(row["metric"]) * row["high"],
            verdict=row["verdict"],
            runs=row["studies"].split(", "),
            note="; ".join(filter(None, [f"between studies: {row['heterogeneity']}", row["note"]])),
        )
        for row in rows
    ]
    runs = pl.concat([one.runs.select(pl.lit(one.label).alias("study"), *RUNS.names()) for one in sets])
    tables = {
        "pooled": found.estimates,
        "by_study": found.by_study,
        "models_and_mixtures": found.identities,
        "not_pooled": found.left_out,
    }
    head = PageHeader(
        eyebrow="Pooled studies",
        title=", ".join(found.studies),
        question=sets[0].study.question,
        facts=[
            (str(len(found.studies)), "studies"),
            (f"{runs.height:,}", "runs"),
            (f"{found.estimates.height:,}", "pooled estimates"),
            (f"{found.left_out.height:,}", "not pooled"),
        ],
        files=[*write_tables(folder, tables), ("runs.parquet", "the runs of all studies")],
        runs_file="runs.parquet",
        sections=[
            ("Results", [*(sentence(found, row) for row in rows), *found.notes]),
            ("What is pooled", _shared_lines(found)),
            ("What differs", _difference_lines(sets)),
            ("Not pooled", left_out_lines(found.left_out) or ["Every estimate of every study is pooled."]),
        ],
    )
    write_tables(folder, {"runs": runs}, below="", csv=False)
    return write_page(folder, head, [Analysis(kind="pooled", answers=answers, tables={})], drawings=figures(found))


def _shared_lines(found: Pooled) -> list[str]:
    """One line per model and mixture that several studies have: its names, and what is known to be the same."""
    known = {
        "content": "same weights and tokenizer",
        "examples": "same examples",
        "composition": "same composition, other examples",
        "name": "paired by name; the content differs or is not known",
    }
    lines = []
    for (kind, name), part in found.identities.group_by("kind", "name", maintain_order=True):
        if part["study"].n_unique() < 2:
            continue
        first = part.row(0, named=True)
        others = [f"{row['study']}: {row['own_name']} ({known[row['same']]})" for row in part[1:].iter_rows(named=True)]
        what = f" ({first['what']})" if first["what"] else ""
        lines.append(f"{kind} {name}{what} of {first['study']}; {'; '.join(others)}")
    return lines


def _difference_lines(sets: Sequence[ResultSet]) -> list[str]:
    return [
        f"{other.label} minus {sets[0].label}: {line}"
        for other in sets[1:]
        for line in difference_lines(definition_differences(sets[0], other))
    ]


def figures(found: Pooled) -> list[Figure]:
    """Draw the forest plots: each study with the pooled estimate, and the pooled estimates by language."""
    panel = pl.format("{} · {}", "evaluation", "contrast")
    chosen = pl.col("estimand") == ("gain" if (found.estimates["estimand"] == "gain").any() else "score")
    pooled = found.estimates.filter("is_primary_metric", chosen)
    keys = ["estimand", "model", "mixture", "control", "evaluation", "metric", "languages"]
    single = found.by_study.join(pooled.select(keys), on=keys, how="semi", maintain_order="left")
    singles = single.select(*keys, "contrast", "value", "low", "high", "note", label="study", is_summary=pl.lit(False))
    whole = pooled.select(
        *keys, "contrast", "value", "low", "high", note="heterogeneity", label=pl.lit("pooled"), is_summary=pl.lit(True)
    )
    verdicts = pl.struct("low", "high").map_elements(
        lambda row: verdict(row["low"], row["high"]), return_dtype=pl.String
    )
    table = pl.concat([singles, whole]).with_columns(panel=panel, verdict=verdicts)
    tags = whole.filter(~pl.col("languages").is_in(FIXED)).with_columns(
        panel=panel,
        label=pl.col("languages"),
        is_summary=pl.lit(False),
        verdict=verdicts,
    )
    unit = unit_of(pooled["metric"].unique(maintain_order=True))
    axis = unit if (pooled["control"] == "").all() else f"gain over the control ({unit})"
    return [
        forest(
            table.filter(pl.col("languages") == "all"),
            name="studies",
            title="Each study and the pooled estimate",
            axis_title=axis,
            caption="Mean over the evaluation languages that all studies have. The large mark is the pooled estimate: "
            "with three or more studies, the study is a random effect; with two it is fixed.",
        ),
        forest(
            tags,
            name="languages",
            title="Pooled, by language",
            axis_title=axis,
            caption="Pooled estimates of single languages.",
        ),
    ]
