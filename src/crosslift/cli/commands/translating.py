"""Commands that make data with a model: translate, complete, data (all of a study); and review, by people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crosslift.cli.arguments import Folder, SiteFile
from crosslift.cli.printing import say


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
    from crosslift.api.tools import translate as translate_corpus

    done = translate_corpus(recipe, folder, site=site, data=data, dry_run=dry_run, progress=say)
    outcome = done.outcome
    if outcome is None:
        return
    say(
        f"{outcome.num_requests:,} new requests, {outcome.num_known:,} reused replies; "
        f"{outcome.num_prompt_tokens:,} prompt tokens and {outcome.num_completion_tokens:,} completion tokens"
    )
    for tag in done.languages:
        aside = [row for row in outcome.set_aside if row["language"] == tag]
        scored = outcome.scores.filter(language=tag)["back_chrf"].mean()
        back = f", back-translation chrF {100 * float(scored):.0f}" if isinstance(scored, float) else ""
        first = f" ({aside[0]['item_id']}: {aside[0]['reason']})" if aside else ""
        say(f"{tag}: {done.corpus.num_items - len(aside)} rows, {len(aside)} set aside{first}{back}")
    say(f'Read it with reader = "jsonl", path = "{folder}", incomplete = "drop".')


def complete(
    recipe: Annotated[Path, typer.Argument(help="Recipe: a TOML file, or a name from: crosslift list recipes")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Output folder, with one file per language and split.")],
    site: Annotated[Path, typer.Option(help="Site file with the table [completion].")] = Path("site.toml"),
    data: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Path of the prompts; overrides the path in the recipe.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print requests, tokens and highest cost, and stop.")
    ] = False,
) -> None:
    """Let a model answer open prompts, filtered by language. A restart resumes an interrupted command."""
    from crosslift.api.making.completions import complete as complete_corpus

    done = complete_corpus(recipe, folder, site=site, data=data, dry_run=dry_run, progress=say)
    outcome = done.outcome
    if outcome is None:
        return
    say(
        f"{outcome.num_requests:,} new requests; all replies have {outcome.num_prompt_tokens:,} prompt tokens and "
        f"{outcome.num_completion_tokens:,} completion tokens"
    )
    for tag in outcome.kept:
        count = done.counts[tag]
        reasons = [
            f"{number:,} {reason}" for key in ("dropped", "prompts_dropped") for reason, number in count[key].items()
        ]
        say(
            f"{tag}: {count['train']:,} to train on, {count['validation']:,} for validation, "
            f"of {count['asked']:,} asked" + (f"; dropped: {', '.join(reasons)}" if reasons else "")
        )
    say(f'Read it with reader = "jsonl", path = "{folder}/train".')


def review(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Output folder of crosslift translate or complete.")],
    rows: Annotated[int, typer.Option(min=1, help="Rows per language.")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draw.")] = 0,
    languages: Annotated[str, typer.Option(metavar="TAG,TAG", help="Languages; default: all that were made.")] = "",
    verdicts: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Read a filled sheet back (repeatable).")
    ] = None,
) -> None:
    """Write review sheets with source and text side by side, or read their verdicts back into the manifest."""
    from crosslift.api.making.reviews import read_review
    from crosslift.api.making.reviews import review as write_sheets

    if not verdicts:
        tags = [tag for tag in languages.split(",") if tag]
        files = write_sheets(folder, num_rows=rows, seed=seed, languages=tags)
        for file in files:
            say(f"Wrote {file} (to fill in) and {file.with_suffix('.html').name} (to read).")
        say(f"Fill in the column verdict (accept or reject), then: crosslift review {folder} --verdicts {files[0]}")
        return
    for row in read_review(folder, verdicts).iter_rows(named=True):
        read = row["accepted"] + row["rejected"]
        share = ""
        if read:
            share = f" ({row['share']:.0%}, 95 % interval {100 * row['low']:.0f} to {100 * row['high']:.0f})"
        outdated = f", {row['outdated']} outdated" if row["outdated"] else ""
        say(f"{row['language']}: {row['accepted']} of {read} accepted{share}; {row['unread']} unread{outdated}")
    say(f"The counts are in {folder}/manifest.json and in the reports of studies that read this corpus.")


def data(
    folder: Folder,
    *,
    site: SiteFile = None,
    plan: Annotated[bool, typer.Option("--plan", help="Print steps, time and price, and stop.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Send requests without asking.")] = False,
    max_items: Annotated[
        int | None,
        typer.Option(min=1, help="Make only the first items of each step, to try them at little cost (rehearsal)."),
    ] = None,
) -> None:
    """Make the data of a study: the steps of its data.toml. A restart resumes, and no reply is paid twice."""
    from crosslift.api.making.data import make_data, plan_data
    from crosslift.errors import StudyError

    planned = plan_data(folder, site=site, max_items=max_items, read_sources=True)
    for line in planned.lines():
        say(line)
    if planned.steps and (plan or planned.is_done):
        return
    if planned.asks and not yes:
        import sys

        if not sys.stdin.isatty():
            raise StudyError(["Nothing was sent. Add --yes to send the requests above."])
        typer.confirm("Send these requests?", abort=True)
    make_data(folder, site=site, max_items=max_items, progress=say)
    say(f"The data are ready. Next: crosslift check {folder}")
