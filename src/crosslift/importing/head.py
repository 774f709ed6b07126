"""The header of the page about imported results."""

from __future__ import annotations

from crosslift.importing.mapping import ImportMapping
from crosslift.importing.results import Results
from crosslift.reporting.questions.page import PageHeader


def page_header(mapping: ImportMapping, results: Results) -> PageHeader:
    """Title, question, counts and files of imported results."""
    facts = [
        (f"{results.runs.height:,}", "runs"),
        (f"{results.cells.height:,}", "cells"),
        (str(results.cells["language"].n_unique()), "languages"),
    ]
    files = [
        ("runs.parquet", "the runs, with their training languages and amounts"),
        ("cells.parquet", "one score per run, evaluation, metric and language"),
    ]
    if results.scores.height:
        facts.append((f"{results.scores.height:,}", "answers"))
        files.append(("scores.parquet", "one score per sample"))
    licence = f" (licence: {mapping.licence})" if mapping.licence else ""
    files.append(("manifest.json", f"provenance{licence}"))
    return PageHeader(
        eyebrow="Imported results",
        title=mapping.name,
        question=mapping.question,
        facts=facts,
        files=files,
        runs_file="runs.parquet",
    )
