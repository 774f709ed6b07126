"""The tables of a report as data frames in long format, one function each. They are written as CSV."""

from __future__ import annotations

from typing import Any

import polars as pl

from crosslift.reporting.data import ReportData
from crosslift.reporting.explorations import exploration
from crosslift.reporting.sentences import gain_verdict
from crosslift.scores import STATUSES
from crosslift.transfer.estimates.wilson import with_shares

NUMBERS = (
    "value",
    "low",
    "high",
    "level",
    "num_items",
    "num_clusters",
    "num_seeds",
    "p",
    "p_adjusted",
    "method",
    "note",
)
"""Columns of every table of estimates."""


def contrasts(data: ReportData) -> pl.DataFrame:
    """Gains over all languages in the primary metric, for every declared contrast."""
    rows = data.primary.filter(estimand="gain", languages="all")
    nothing = data.estimates.filter(estimand="gain").filter(pl.col("evaluation").is_null())
    found = pl.struct("low", "high").map_elements(
        lambda row: gain_verdict(row["low"], row["high"]), return_dtype=pl.String
    )
    declared = {contrast.name: place for place, contrast in enumerate(data.study.contrasts)}
    order = pl.col("declared").replace_strict(declared, return_dtype=pl.Int64)
    model = pl.col("model").replace_strict(
        {name: place for place, name in enumerate(data.models)}, return_dtype=pl.Int64
    )
    return (
        pl.concat([rows, nothing])
        .sort(order, model, ~pl.col("mixture").str.starts_with("mean of "), maintain_order=True)
        .with_columns(verdict=found)
        .select("declared", "primary", "model", "evaluation", "metric", "mixture", "control", "verdict", *NUMBERS)
    )


def retention(data: ReportData) -> pl.DataFrame:
    """Share of the control's score in English and in high-resource languages that each treatment retains, and their
    mean."""
    return data.primary.filter(estimand="retention").select(
        "declared", "model", "evaluation", "metric", "mixture", "control", "languages", *NUMBERS
    )


def languages(data: ReportData) -> pl.DataFrame:
    """Mean score per model x mixture x language, with interval and the share of answers that could not be scored."""
    tags = [one.tag for one in data.languages]
    lost = (
        failures(data)
        .join(data.runs.select("run", "model", "mixture"), on="run", how="left")
        .filter(~pl.col("status").is_in(["scored", "error"]))
        .group_by("model", "mixture", "evaluation", "language")
        .agg(failed=pl.col("count").sum() / pl.col("num_samples").first() / pl.col("run").n_unique())
        .rename({"language": "languages"})
    )
    return (
        data.primary.filter(pl.col("estimand") == "score", pl.col("languages").is_in(tags))
        .join(lost, on=["model", "mixture", "evaluation", "languages"], how="left", maintain_order="left")
        .select("evaluation", "metric", "model", "mixture", "languages", *NUMBERS[:7], "failed", "note")
    )


def groups(data: ReportData) -> pl.DataFrame:
    """Group means, ratios to English and seen-unseen gaps per model x mixture."""
    tags = [one.tag for one in data.languages]
    return data.primary.filter(~pl.col("languages").is_in(tags), pl.col("control") == "").select(
        "estimand", "evaluation", "metric", "model", "mixture", "languages", *NUMBERS
    )


def failures(data: ReportData) -> pl.DataFrame:
    """Status of the answers per run x evaluation x language x status; every status has a row, also with count 0."""
    samples = data.scores.unique(["run", "evaluation", "sample_id"], maintain_order=True)
    cells = samples.group_by("run", "evaluation", "language", maintain_order=True).agg(num_samples=pl.len())
    counts = samples.group_by("run", "evaluation", "language", "status").agg(count=pl.len())
    return (
        cells.join(pl.DataFrame({"status": STATUSES}), how="cross", maintain_order="left_right")
        .join(counts, on=["run", "evaluation", "language", "status"], how="left", maintain_order="left")
        .with_columns(pl.col("count").fill_null(0).cast(pl.Int64), pl.col("num_samples").cast(pl.Int64))
        .with_columns(share=pl.col("count") / pl.col("num_samples"))
        .select("run", "evaluation", "language", "status", "count", "num_samples", "share")
    )


def mixtures(data: ReportData) -> pl.DataFrame:
    """Examples, different items and tokens per mixture x corpus x language x model."""
    rows = []
    for mixture, manifest in data.manifests.items():
        for corpus, counts in manifest.get("counts", {}).items():
            for tag, count in counts.items():
                if not count:
                    continue
                unique = manifest.get("unique_items", {}).get(corpus, {}).get(tag)
                row = {
                    "mixture": mixture,
                    "corpus": corpus,
                    "language": tag,
                    "num_examples": count,
                    "num_unique": unique,
                }
                for model, tokens in manifest.get("tokens", {}).items() or [(None, {})]:
                    rows.append(row | {"model": model, "num_tokens": tokens.get(corpus, {}).get(tag)})
    schema = {"mixture": pl.String, "corpus": pl.String, "language": pl.String, "model": pl.String}
    return pl.DataFrame(
        rows,
        schema=schema | dict.fromkeys(["num_examples", "num_unique", "num_tokens"], pl.Int64),
        infer_schema_length=None,
    )


def fertility(data: ReportData) -> pl.DataFrame:
    """Tokens per item relative to the same items in English, per model x language: the median over mixtures."""
    rows = [
        {"model": model, "language": tag, "fertility": value}
        for manifest in data.manifests.values()
        for model, by_language in manifest.get("fertility", {}).items()
        for tag, value in by_language.items()
    ]
    schema = {"model": pl.String, "language": pl.String, "fertility": pl.Float64}
    table = pl.DataFrame(rows, schema=schema, infer_schema_length=None)
    return table.group_by("model", "language").agg(pl.col("fertility").median()).sort("model", "fertility", "language")


def held_fixed(data: ReportData) -> pl.DataFrame:
    """Every factor of the study: whether it is fixed or varies between runs, and its values."""
    study = data.study
    trained = [mixture for mixture in study.mixtures.values() if mixture.name in data.mixtures]
    training = {key: value for key, value in study.training.recorded().items() if value is not None}
    volume = mixtures(data).filter(pl.col("model") == pl.col("model").first()).group_by("mixture", maintain_order=True)
    totals = volume.agg(pl.col("num_examples").sum(), pl.col("num_tokens").sum())
    factors: list[tuple[str, list[Any]]] = [
        ("base model", list(data.models)),
        ("chat template", [model.template or "the tokenizer's own" for model in study.models.values()]),
        ("languages trained on", [", ".join(mixture.languages) for mixture in trained]),
        ("budget", [_budget(mixture) for mixture in trained]),
        ("pairing of items", [mixture.pairing for mixture in trained]),
        ("order of examples", [_order(mixture) for mixture in trained]),
        ("training examples", totals["num_examples"].to_list()),
        (f"training tokens ({data.models[0] if data.models else ''}, one epoch)", totals["num_tokens"].to_list()),
        ("optimiser steps", _steps(data)),
        ("training seeds", list(study.seeds)),
        ("data seed", [study.data_seed]),
        *[(key.replace("_", " "), [value]) for key, value in training.items()],
        ("evaluation corpora", [" + ".join(one.corpora) for one in study.evaluations.values()]),
        ("longest answer (tokens)", [one.max_tokens for one in study.evaluations.values()]),
        ("generator, greedy", [one.generator for one in study.evaluations.values()]),
    ]
    rows = []
    for factor, values in factors:
        texts = (f"{value:,}" if isinstance(value, int) else str(value) for value in values if value is not None)
        different = list(dict.fromkeys(texts))
        if different:
            shown = "; ".join(different[:6]) + (f"; and {len(different) - 6} more" if len(different) > 6 else "")
            rows.append({"factor": factor, "held": "fixed" if len(different) == 1 else "varies", "values": shown})
    return pl.DataFrame(rows, schema=dict.fromkeys(["factor", "held", "values"], pl.String))


def _order(mixture: Any) -> str:
    return f"{len(mixture.stages)} stages, each {mixture.order}" if mixture.stages else str(mixture.order)


def _budget(mixture: Any) -> str:
    if mixture.budget is None:
        return "exact counts"
    return (
        f"{mixture.budget.amount:,} {mixture.budget.unit} "
        + ("in all" if mixture.budget.per == "total" else "per language")
        + (", or all where there are fewer" if mixture.budget.if_fewer == "all" else "")
    )


def _steps(data: ReportData) -> list[Any]:
    return data.training.group_by("run", maintain_order=True).agg(pl.col("step").max())["step"].to_list()


def cost(data: ReportData) -> pl.DataFrame:
    """Seconds and tokens of every run, from its provenance; null for unfinished runs."""
    rows, reductions = [], data.study.training.reductions
    for run in data.runs["run"]:
        record = data.provenance.get(run, {})
        train, evaluate = record.get("train") or {}, record.get("evaluate") or {}
        seconds, tokens, precision = train.get("seconds"), train.get("num_tokens"), train.get("precision")
        environment = record.get("environment") or {}
        rows.append(
            {
                "run": run,
                "train_seconds": seconds,
                "train_tokens": tokens,
                "tokens_per_second": tokens / seconds if tokens and seconds else None,
                "evaluate_seconds": evaluate.get("seconds"),
                "precision": f"{precision}, {reductions}" if precision and reductions else precision,
                "device": environment.get("accelerator") or environment.get("processor"),
            }
        )
    schema = {"run": pl.String, "train_seconds": pl.Float64, "train_tokens": pl.Int64, "tokens_per_second": pl.Float64}
    schema |= {"evaluate_seconds": pl.Float64, "precision": pl.String, "device": pl.String}
    return pl.DataFrame(rows, schema=schema, infer_schema_length=None, strict=False)


def corpora(data: ReportData) -> pl.DataFrame:
    """Every corpus of the study with licence, revision and fingerprint."""
    read = data.lock.get("corpora", {})
    rows = [
        {
            "corpus": name,
            "task": source.task,
            "split": source.split,
            "reader": source.reader,
            "languages": ", ".join(source.languages),
        }
        | {key: read.get(name, {}).get(key) for key in ("revision", "licence", "fingerprint")}
        for name, source in data.study.corpora.items()
    ]
    columns = ["corpus", "task", "split", "reader", "languages", "revision", "licence", "fingerprint"]
    return pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String))


def reviews(data: ReportData) -> pl.DataFrame:
    """Verdicts of reviewers by corpus and language, with the share accepted and its interval (Wilson). Without columns
    if no corpus was reviewed."""
    if data.reviews.is_empty():
        return pl.DataFrame()
    return with_shares(data.reviews, level=data.level)


def models(data: ReportData) -> pl.DataFrame:
    """Every base model of the grid with path, revision, number of parameters and fingerprint of its files."""
    read = data.lock.get("models", {})
    rows = [
        {
            "model": name,
            "path": model.path,
            "revision": read.get(name, {}).get("commit") or model.revision,
            "template": model.template or "the tokenizer's own",
            "num_parameters": read.get(name, {}).get("num_parameters"),
            "content": read.get(name, {}).get("content"),
        }
        for name, model in data.study.models.items()
    ]
    schema = dict.fromkeys(["model", "path", "revision", "template"], pl.String)
    return pl.DataFrame(rows, schema=schema | {"num_parameters": pl.Int64, "content": pl.String})


def training(data: ReportData) -> pl.DataFrame:
    """Loss and bits per byte over training, as logged by the trainer."""
    return data.training


def checks(data: ReportData) -> pl.DataFrame:
    """Findings of the corpus checks: number of rows per check and language, with an example."""
    return data.findings.group_by("corpus", "check", "severity", "language", maintain_order=True).agg(
        rows=pl.len(), example=pl.format("{}: {}", pl.col("item_id").first(), pl.col("reason").first())
    )


def variance(data: ReportData) -> pl.DataFrame:
    """Variance components of single answers, per evaluation."""
    return data.variance


TABLES = (
    contrasts,
    retention,
    languages,
    groups,
    failures,
    mixtures,
    fertility,
    held_fixed,
    cost,
    variance,
    corpora,
    checks,
    models,
    training,
    exploration,
)
"""All tables; the name of the function is the file name."""
