"""Files of a translation: the corpus, what was set aside, scores of back-translations, and a manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from crosslift.corpora.corpus import ParallelCorpus
from crosslift.corpora.made import MANIFEST
from crosslift.corpora.reviews.verdicts import keep_review
from crosslift.system.files import write_json, write_text
from crosslift.translation.recipe import Recipe
from crosslift.translation.translate import Outcome
from crosslift.untrusted.csv_file import write_csv


def write(folder: Path, outcome: Outcome, manifest: dict[str, Any], *, corpus: Path | None = None) -> None:
    """Write the corpus as one file per language (reader "jsonl"), the rejected rows, the scores and the manifest.

    Args:
        folder: folder to write.
        outcome: the translation.
        manifest: what `manifest_of` says about it.
        corpus: folder of the files per language and of the manifest, if it is another one.

    Raises:
        StoreError: the folder cannot be written.
    """
    for (tag,), rows in outcome.rows.group_by("language", maintain_order=True):
        write_text((corpus or folder) / f"{tag}.jsonl", rows.write_ndjson())
    lines = "".join(pl.DataFrame([row]).write_ndjson() for row in outcome.set_aside)
    write_text(folder / "set_aside.jsonl", lines)
    write_csv(folder / "scores.csv", outcome.scores)
    write_json((corpus or folder) / MANIFEST, manifest)
    keep_review(corpus or folder)


def manifest_of(recipe: Recipe, corpus: ParallelCorpus, translator: str, outcome: Outcome) -> dict[str, Any]:
    """Describe a translation: source with revision and licence, translator, languages, prompt and counts.

    Args:
        recipe: the recipe.
        corpus: the source.
        translator: name of the translator.
        outcome: the translation.
    """
    return {
        "kind": "translation",
        "source": {
            "reader": recipe.source.reader,
            "language": recipe.source.languages[0],
            "revision": corpus.revision,
            "licence": corpus.licence,
        },
        "translator": translator,
        "languages": list(recipe.languages),
        "prompt": recipe.prompt,
        "num_items": corpus.num_items,
        "num_set_aside": len(outcome.set_aside),
    }
