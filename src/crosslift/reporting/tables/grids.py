"""The tables of the page: grids of formatted cells, made from the data frames in `frames`."""

from __future__ import annotations

from typing import Any

import polars as pl

from crosslift.languages.language import language
from crosslift.reporting.data import ReportData
from crosslift.reporting.tables import frames
from crosslift.reporting.tables.cells import (
    Cell,
    Grid,
    header,
    percent_text,
    ratio_cell,
    seconds_text,
    size_text,
    tokens_text,
)
from crosslift.reporting.wording import POINTS, factor_of, interval_text, p_value_text, points_text, unit_of
from crosslift.scores import MODEL_FAILURES
from crosslift.transfer.estimates.language_groups import ENGLISH
from crosslift.transfer.estimates.panel import scores_of


def contrasts(data: ReportData) -> Grid:
    """Gains of the declared contrasts over all languages."""
    rows = []
    for row in frames.contrasts(data).iter_rows(named=True):
        mean = row["mixture"].startswith("mean of ")
        note = (row["note"] or "").replace("one seed: run-to-run noise is not in the interval", "one seed")
        rows.append(
            [
                Cell(text=row["declared"], note="primary" if row["primary"] else "", css="name"),
                Cell(text=row["model"], note=row["evaluation"] or ""),
                Cell(text=row["mixture"], note=f"minus {row['control']}", css="strong" if mean else ""),
                Cell(text=points_text(row["value"], signed=True, metric=row["metric"]), css="number strong"),
                Cell(text=interval_text(row, signed=True), css="number"),
                Cell(text=p_value_text(row["p"]).removeprefix("p = ").removeprefix("p "), css="number"),
                Cell(text=p_value_text(row["p_adjusted"]).removeprefix("p = ").removeprefix("p "), css="number"),
                Cell(
                    text=row["verdict"], note=note, css=f"verdict {row['verdict'].replace(' ', '-')}", title=row["note"]
                ),
            ]
        )
    head = header("contrast", "model", "treatment", "gain", f"{data.level:.0%} interval", "p", "adjusted p", "verdict")
    return Grid(title="Declared contrasts, all languages", head=head, rows=rows, csv="contrasts.csv", css="fits")


def retention(data: ReportData) -> Grid | None:
    """Retention of English and high-resource scores, one row per contrast, model and evaluation: the mean over the
    treatments if there are several. None without contrasts."""
    kept: dict[tuple[str, ...], dict[str, dict[str, Any]]] = {}
    means_last = frames.retention(data).sort(pl.col("mixture").str.starts_with("mean of "), maintain_order=True)
    for row in means_last.iter_rows(named=True):  # the mean replaces its treatments
        key = tuple(row[column] for column in ("declared", "model", "evaluation"))
        kept.setdefault(key, {})[row["languages"]] = row
    if not kept:
        return None
    rows = []
    for (declared, model, evaluation), by_label in kept.items():
        first = next(iter(by_label.values()))
        cells = [Cell(text=declared, css="name"), Cell(text=model, note=evaluation)]
        cells.append(Cell(text=first["mixture"], note=f"over {first['control']}"))
        for label in (ENGLISH, "high"):
            found = by_label.get(label, {"value": None, "low": None, "note": "not evaluated"})
            cells.append(Cell(text=points_text(found["value"]), css="number strong", title=found["note"]))
            cells.append(Cell(text=interval_text(found), css="number"))
        rows.append(cells)
    names = ("contrast", "model", "treatment", "English, %", "interval", "high-resource, %", "interval")
    return Grid(
        title="Retention of the control's score",
        head=header(*names, numbers=[3, 5]),
        rows=rows,
        csv="retention.csv",
        css="fits",
    )


def scores_by_language(data: ReportData) -> list[Grid]:
    """One grid per evaluation: conditions x (groups and languages)."""
    estimates = data.primary.filter(pl.col("estimand") == "score")
    trained = dict(data.runs.select("mixture", "languages").unique("mixture").iter_rows())
    truncated = _truncated_base(data)
    grids = []
    for evaluation in data.evaluations:
        part = estimates.filter(evaluation=evaluation)
        cells = {(row["model"], row["mixture"], row["languages"]): row for row in part.iter_rows(named=True)}
        tags = [one for one in data.languages if one.tag in set(part["languages"])]
        deepest = max((row["value"] for row in cells.values() if row["value"] is not None), default=1.0) or 1.0
        head = [Cell(text="model · mixture", css="name")]
        head += [Cell(text=group, css="number group") for group in ("all", "high", "low")]
        head += [Cell(text=one.tag, note=one.name, css="number") for one in tags]
        rows = []
        for model, mixture in part.select("model", "mixture").unique(maintain_order=True).iter_rows():
            cut = truncated.get((model, evaluation)) if mixture == "base" else None
            note = model if not cut else f"{model}, {percent_text(cut)} % of answers cut off"
            row = [Cell(text=mixture, note=note, css="name")]
            for label in ["all", "high", "low", *(one.tag for one in tags)]:
                found = cells.get((model, mixture, label))
                css = "number" + (" group" if label in {"all", "high", "low"} else "")
                css += " seen" if label in trained.get(mixture, []) else ""
                row.append(_score(found, css, deepest))
            rows.append(row)
        metric = data.metric(evaluation)
        title = (
            f"{evaluation}: {metric} in points" if factor_of(metric) == POINTS else f"{evaluation}: {unit_of([metric])}"
        )
        grids.append(Grid(title=title, head=head, rows=rows, csv="languages.csv", css="matrix"))
    return grids


def _truncated_base(data: ReportData) -> dict[tuple[str, str], float]:
    """(model, evaluation) -> share of the base model's answers that are cut off and count as wrong."""
    base = data.runs.filter(mixture="base").select("run", "model")
    answers = scores_of(data.scores, data.primary_metrics).join(base, on="run", how="inner")
    shares = answers.group_by("model", "evaluation").agg((pl.col("status") == "truncated").mean())
    return {(model, evaluation): share for model, evaluation, share in shares.iter_rows()}


def _score(row: dict[str, Any] | None, css: str, deepest: float) -> Cell:
    if row is None or row["value"] is None:
        return Cell(text="–", css=css, title=row["note"] if row else "not evaluated")
    by = factor_of(row["metric"])
    digits = 0 if by == POINTS else 1
    note = f"{by * row['low']:.{digits}f}–{by * row['high']:.{digits}f}" if row["low"] is not None else ""
    shown = points_text(row["value"], metric=row["metric"])
    title = " ".join([shown, interval_text(row), row["note"]])
    return Cell(text=shown, note=note, css=css, title=title, tint=row["value"] / deepest)


def failures(data: ReportData) -> Grid:
    """Runs x (statuses and languages): the share of answers that could not be scored."""
    table = frames.failures(data)
    tags = [one.tag for one in data.languages]
    head = [
        Cell(text="run", css="name"),
        *(Cell(text=status.replace("_", " "), css="number group") for status in MODEL_FAILURES),
    ]
    head += [
        Cell(text="error", css="number group"),
        *(Cell(text=one.tag, note=one.name, css="number") for one in data.languages),
    ]
    by_status = {
        (run, status): (count, num)
        for run, status, count, num in table.group_by("run", "status")
        .agg(pl.col("count").sum(), pl.col("num_samples").sum())
        .iter_rows()
    }
    by_language: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in table.filter(pl.col("status") != "scored").iter_rows(named=True):
        by_language.setdefault((row["run"], row["language"]), []).append(row)
    rows = []
    for run in [run for run in data.runs["run"] if (run, "error") in by_status]:
        cells = [Cell(text=run, css="name")]
        for status in MODEL_FAILURES:
            count, num = by_status[run, status]
            cells.append(
                Cell(text=percent_text(count / num), css="number group", tint=count / num, title=f"{count} of {num}")
            )
        errors = by_status[run, "error"][0]
        cells.append(Cell(text=str(errors) if errors else "–", css="number group" + (" alarm" if errors else "")))
        for tag in tags:
            kinds = by_language.get((run, tag), [])
            count = sum(row["count"] for row in kinds if row["status"] != "error")
            num = sum(row["num_samples"] for row in kinds if row["status"] == "error")
            text = ", ".join(f"{row['count']} {row['status'].replace('_', ' ')}" for row in kinds if row["count"])
            share = count / num if num else None
            cells.append(Cell(text=percent_text(share), css="number", tint=share, title=text or "all scored"))
        rows.append(cells)
    return Grid(
        title="Answers that could not be scored, %", head=head, rows=rows, csv="failures.csv", css="matrix warm"
    )


def mixtures(data: ReportData) -> Grid:
    """Mixtures x languages: examples, and tokens in small text."""
    table = frames.mixtures(data)
    model = next(iter(table["model"].drop_nulls().to_list()), None)
    table = table.filter(pl.col("model").is_null() | (pl.col("model") == (model or "")))
    tags = [one.tag for one in data.languages if one.tag in set(table["language"])]
    tags += sorted(set(table["language"]) - set(tags))
    names = {one.tag: one.name for one in data.languages}
    sums = table.group_by("mixture", "language").agg(pl.col("num_examples", "num_tokens").sum())
    cells = {(mixture, tag): (count, tokens) for mixture, tag, count, tokens in sums.iter_rows()}
    rows = []
    for mixture, manifest in data.manifests.items():
        own = [cells[mixture, tag] for tag in tags if (mixture, tag) in cells]
        row = [
            Cell(text=mixture, note=f"{manifest.get('pairing', '')} items", css="name"),
            Cell(
                text=f"{sum(count for count, _ in own):,}",
                note=tokens_text(sum(t or 0 for _, t in own)),
                css="number group",
            ),
            Cell(text=f"{manifest['num_items']:,}" if manifest.get("num_items") else "–", css="number group"),
        ]
        for tag in tags:
            count, tokens = cells.get((mixture, tag), (0, 0))
            row.append(Cell(text=f"{count:,}" if count else "·", note=tokens_text(tokens), css="number"))
        rows.append(row)
    head = [Cell(text="mixture", css="name"), Cell(text="examples", css="number group")]
    head += [Cell(text="different items", css="number group")]
    head += [Cell(text=tag, note=names.get(tag, ""), css="number") for tag in tags]
    title = "Training examples per language" + (f", tokens of {model} below" if model else "")
    return Grid(title=title, head=head, rows=rows, csv="mixtures.csv", css="matrix")


def fertility(data: ReportData) -> Grid:
    """Models x languages: fertility of the tokenizer."""
    table = frames.fertility(data)
    tags = table["language"].unique(maintain_order=True).to_list()
    names = {one.tag: one.name for one in data.languages}
    cells = {(model, tag): value for model, tag, value in table.iter_rows()}
    rows = [
        [Cell(text=model, css="name"), *(ratio_cell(cells.get((model, tag))) for tag in tags)]
        for model in table["model"].unique(maintain_order=True)
    ]
    head = [
        Cell(text="tokenizer of", css="name"),
        *(Cell(text=tag, note=names.get(tag, ""), css="number") for tag in tags),
    ]
    title = "Fertility: tokens per item, relative to the same items in English"
    return Grid(title=title, head=head, rows=rows, csv="fertility.csv", css="matrix")


def held_fixed(data: ReportData) -> Grid:
    """Factors of the study, fixed or varying."""
    rows = [
        [Cell(text=factor, css="name"), Cell(text=held, css=f"held {held}"), Cell(text=values, css="wrap")]
        for factor, held, values in frames.held_fixed(data).iter_rows()
    ]
    head = header("factor", "in all runs", "values")
    return Grid(title="Fixed and varying factors", head=head, rows=rows, csv="held_fixed.csv")


def cost(data: ReportData) -> Grid:
    """Training and evaluation time per run, with the sum over runs."""
    table = frames.cost(data)
    rows = [
        [
            Cell(text=row["run"], css="name"),
            Cell(text=seconds_text(row["train_seconds"]), css="number"),
            Cell(text=f"{row['train_tokens']:,}" if row["train_tokens"] else "–", css="number"),
            Cell(text=f"{row['tokens_per_second']:,.0f}" if row["tokens_per_second"] else "–", css="number"),
            Cell(text=seconds_text(row["evaluate_seconds"]), css="number"),
            Cell(text=row["precision"] or "–"),
            Cell(text=row["device"] or "–", css="wrap"),
        ]
        for row in table.iter_rows(named=True)
    ]
    seconds = [float(table[column].fill_null(0.0).sum()) for column in ("train_seconds", "evaluate_seconds")]
    whole = ["all runs", seconds_text(seconds[0]), f"{int(table['train_tokens'].fill_null(0).sum()):,}", ""]
    whole += [seconds_text(seconds[1]), "", ""]
    rows.append(
        [Cell(text=text, css="name total" if place == 0 else "number total") for place, text in enumerate(whole)]
    )
    head = header(
        "run", "training", "tokens trained", "tokens / s", "evaluation", "precision", "device", numbers=range(1, 5)
    )
    return Grid(title="Cost", head=head, rows=rows, csv="cost.csv", css="fits")


def corpora(data: ReportData) -> Grid:
    """Corpora with licence, revision and fingerprint."""
    table = frames.corpora(data)
    rows = [
        [
            Cell(text=row["corpus"], note=row["split"], css="name"),
            Cell(text=row["task"], note=row["reader"]),
            Cell(text=row["languages"], css="wrap"),
            Cell(text=row["licence"] or "not read yet", css="wrap"),
            Cell(text=row["revision"] or "–", note=row["fingerprint"] or "", css="wrap mono"),
        ]
        for row in table.iter_rows(named=True)
    ]
    head = header("corpus", "task, reader", "languages", "licence", "revision, fingerprint")
    return Grid(title="Corpora", head=head, rows=rows, csv="corpora.csv")


def checks(data: ReportData) -> Grid:
    """One row per corpus and check."""
    rows = []
    table = frames.checks(data)
    for (corpus, check, severity), group in table.group_by("corpus", "check", "severity", maintain_order=True):
        where = ", ".join(f"{tag} {count}" for tag, count in group.select("language", "rows").iter_rows())
        rows.append(
            [
                Cell(text=str(corpus), css="name"),
                Cell(text=str(check), note=str(severity)),
                Cell(text=where, css="wrap"),
                Cell(text=group["example"][0], css="wrap"),
            ]
        )
    head = header("corpus", "check", "rows by language", "example")
    return Grid(title="Findings of the corpus checks", head=head, rows=rows, csv="checks.csv")


def reviews(data: ReportData) -> Grid | None:
    """One row per corpus and language whose texts people have read. None if there are none."""
    rows = []
    for row in frames.reviews(data).iter_rows(named=True):
        num_read = row["accepted"] + row["rejected"]
        shown = f"{100 * row['low']:.0f} to {100 * row['high']:.0f} %" if num_read else "–"
        rest = [f"{row[name]} {name}" for name in ("unread", "outdated") if row[name]]
        rows.append(
            [
                Cell(text=row["corpus"], css="name"),
                Cell(text=language(row["language"]).name),
                Cell(text=f"{row['accepted']} of {num_read}", note=", ".join(rest), css="number"),
                Cell(text=f"{row['share']:.0%}" if num_read else "–", css="number strong"),
                Cell(text=shown, css="number"),
            ]
        )
    head = header("corpus", "language", "accepted", "share", f"{data.level:.0%} interval", numbers=range(2, 5))
    return Grid(title="Reviews by readers", head=head, rows=rows, csv="reviews.csv") if rows else None


def models(data: ReportData) -> Grid:
    """Base models with path, size, template, revision and fingerprint."""
    rows = [
        [
            Cell(text=row["model"], css="name"),
            Cell(text=row["path"], css="wrap mono"),
            Cell(text=size_text(row["num_parameters"]), css="number"),
            Cell(text=row["template"], css="wrap"),
            Cell(text=row["revision"] or "–", note=row["content"] or "", css="wrap mono"),
        ]
        for row in frames.models(data).iter_rows(named=True)
    ]
    head = header("model", "path", "parameters", "chat template", "revision, fingerprint", numbers=[2])
    return Grid(title="Base models", head=head, rows=rows, csv="models.csv")
