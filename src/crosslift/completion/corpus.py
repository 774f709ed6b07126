"""The folder of completions: a corpus for the reader `jsonl`, what was dropped, and a manifest with counts.

train/<language>.jsonl          the corpus, one file per language; validation/<language>.jsonl likewise
prompts.jsonl                   item_id, language, split and the id of the prompt in its source
dropped.jsonl                   completions that were dropped, with the reason
manifest.json                   source, licence, model, settings, counts
journal.jsonl                   every reply
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl

from crosslift.completion.complete import Completed, Outcome
from crosslift.completion.prompts import OTHER, Prompts
from crosslift.completion.recipe import CompletionRecipe, CompletionService
from crosslift.corpora.corpus import ROWS
from crosslift.corpora.made import MANIFEST
from crosslift.corpora.reviews.verdicts import keep_review
from crosslift.system.files import write_json, write_text

JOURNAL = "journal.jsonl"
PLACES = pl.Schema({"item_id": pl.String, "language": pl.String, "split": pl.String, "prompt_id": pl.String})
DROPPED = pl.Schema(
    {"prompt_id": pl.String, "language": pl.String, "reason": pl.String, "prompt": pl.String, "text": pl.String}
)


def write_corpus(
    folder: Path, recipe: CompletionRecipe, service: CompletionService, prompts: Prompts, outcome: Outcome
) -> None:
    """Write the corpus, the dropped completions and the manifest. The manifest is written last, and keeps the verdicts
    of reviewers on texts that are still there.

    The first completions are those of the validation, so that they stay the same when more items are made.

    Args:
        folder: the folder.
        recipe: what was asked.
        service: the model that answered.
        prompts: the prompts of the source.
        outcome: the completions.

    Raises:
        StoreError: the folder cannot be written.
    """
    places: list[dict[str, str]] = []
    for tag, kept in outcome.kept.items():
        parts = {"validation": kept[: recipe.num_validation], "train": kept[recipe.num_validation :]}
        for split, completed in parts.items():
            rows = [
                _row(recipe, service, one, f"{split}-{number:06d}") for number, one in enumerate(completed, start=1)
            ]
            if rows:
                write_text(folder / split / f"{tag}.jsonl", pl.DataFrame(rows, schema=ROWS).write_ndjson())
            places += [
                {"item_id": row["item_id"], "language": tag, "split": split, "prompt_id": one.prompt.prompt_id}
                for row, one in zip(rows, completed, strict=True)
            ]
    dropped = [
        {"prompt_id": one.prompt.prompt_id, "language": one.prompt.language, "reason": one.reason,
         "prompt": one.prompt.text, "text": one.text}
        for one in outcome.dropped
    ]  # fmt: skip
    write_text(folder / "prompts.jsonl", pl.DataFrame(places, schema=PLACES).write_ndjson())
    write_text(folder / "dropped.jsonl", pl.DataFrame(dropped, schema=DROPPED).write_ndjson())
    write_json(folder / MANIFEST, manifest(recipe, service, prompts, outcome))
    keep_review(folder)


def _row(recipe: CompletionRecipe, service: CompletionService, one: Completed, item_id: str) -> dict[str, Any]:
    messages = [{"role": role, "content": text} for role, text in one.prompt.messages]
    name = one.prompt.prompt_id if recipe.pairing == "item" else item_id
    return {
        "item_id": name,
        "language": one.prompt.language,
        "messages": [*messages, {"role": "assistant", "content": one.text}],
        "answer": one.text,
        "cluster": name,
        "origin": f"model:{service.endpoint.model}",
    }


def manifest(
    recipe: CompletionRecipe, service: CompletionService, prompts: Prompts, outcome: Outcome
) -> dict[str, Any]:
    """Describe the corpus in JSON types; see `write_corpus` for the arguments."""
    sampling = recipe.sampling
    return {
        "kind": "completions",
        "source": {
            "reader": recipe.source.reader,
            "revision": prompts.revision,
            "licence": prompts.licence,
            "notes": list(prompts.notes),
        },
        "model": service.endpoint.model,
        "endpoint": service.host,
        "system": recipe.system,
        "sampling": {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            "seed": sampling.seed,
        },
        "prompt_languages": recipe.prompt_languages,
        "pairing": recipe.pairing,
        "languages": list(outcome.kept),
        "counts": counts(recipe, outcome),
        "num_prompt_tokens": outcome.num_prompt_tokens,
        "num_completion_tokens": outcome.num_completion_tokens,
    }


def counts(recipe: CompletionRecipe, outcome: Outcome) -> dict[str, dict[str, Any]]:
    """Count completions and what was dropped.

    Returns:
        Language -> train, validation, asked, dropped (reason -> completions), prompts_dropped (reason -> prompts that
        were not asked). Where languages are identified, "other" has the prompts that are in none of them.
    """
    dropped = Counter((one.prompt.language, one.reason) for one in outcome.dropped)
    found: dict[str, dict[str, Any]] = {}
    for tag, kept in outcome.kept.items():
        found[tag] = {
            "train": len(kept) - recipe.num_validation,
            "validation": recipe.num_validation,
            "asked": outcome.num_asked[tag],
            "dropped": _of(dropped, tag),
            "prompts_dropped": _of(outcome.prompts_dropped, tag),
        }
    if others := _of(outcome.prompts_dropped, OTHER):
        found["other"] = {"prompts_dropped": others}
    return found


def _of(reasons: Counter[tuple[str, str]], tag: str) -> dict[str, int]:
    return {reason: number for (one, reason), number in sorted(reasons.items()) if one == tag}
