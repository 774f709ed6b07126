"""Command translate: creates a parallel corpus from an English one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crosslift.cli.printing import say

if TYPE_CHECKING:
    from crosslift.corpora.corpus import ParallelCorpus
    from crosslift.translation.recipe import Recipe
    from crosslift.translation.translate import Outcome


def translate(
    recipe: Annotated[Path, typer.Argument(help="Recipe: a TOML file, or a name from: crosslift list recipes")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Output folder, with one file per language.")],
    site: Annotated[Path, typer.Option(help="Site file with the table [translation].")] = Path("site.toml"),
    data: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Path of the source; overrides the path in the recipe.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the estimated cost, and stop.")] = False,
) -> None:
    """Translate a corpus, preserving and verifying gold answers. A restart resumes an interrupted command."""
    from crosslift.corpora.ingest import read_checked
    from crosslift.discover import member
    from crosslift.system.leases import waiting_lease
    from crosslift.translation import translate as work
    from crosslift.translation.recipe import load_recipe, load_service

    loaded, service = load_recipe(recipe, data=data), load_service(site)
    corpus = read_checked(loaded.source).corpus
    items = work.items_of(corpus)
    expected = work.estimate(loaded, service, items)
    cost = "" if expected.cost is None else f", about {expected.cost:,.2f} at the site's prices"
    say(
        f"{corpus.num_items} items into {', '.join(loaded.languages)}: {expected.num_texts:,} texts, about "
        f"{expected.num_prompt_tokens:,} prompt tokens and {expected.num_completion_tokens:,} completion tokens{cost}"
    )
    if dry_run:
        return
    module = member("translator", service.translator)
    translator = module.Translator(service.options, place=f"{site.name}, translation")
    origin = str(corpus.rows["origin"][0])
    with waiting_lease(folder) as lease:
        outcome = work.translate(loaded, items, translator, folder, origin=origin, say=say, check=lease.check)
        work.write(folder, outcome, _manifest(loaded, corpus, translator.name, outcome))
    say(
        f"{outcome.num_requests:,} new requests, {outcome.num_known:,} reused replies; "
        f"{outcome.num_prompt_tokens:,} prompt tokens and {outcome.num_completion_tokens:,} completion tokens"
    )
    for tag in loaded.languages:
        aside = [row for row in outcome.set_aside if row["language"] == tag]
        scored = outcome.scores.filter(language=tag)["back_chrf"].mean()
        back = f", back-translation chrF {100 * float(scored):.0f}" if isinstance(scored, float) else ""
        first = f" ({aside[0]['item_id']}: {aside[0]['reason']})" if aside else ""
        say(f"{tag}: {corpus.num_items - len(aside)} rows, {len(aside)} set aside{first}{back}")
    say(f'Read it with reader = "jsonl", path = "{folder}", incomplete = "drop".')


def _manifest(loaded: Recipe, corpus: ParallelCorpus, translator: str, outcome: Outcome) -> dict[str, Any]:
    return {
        "source": {"reader": loaded.source.reader, "revision": corpus.revision, "licence": corpus.licence},
        "translator": translator,
        "languages": list(loaded.languages),
        "prompt": loaded.prompt,
        "num_items": corpus.num_items,
        "num_set_aside": len(outcome.set_aside),
    }
