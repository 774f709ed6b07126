"""The command line. It reads arguments, calls the rooms and prints; it decides nothing about a study.

Exit codes: 0 done, 1 some runs failed, 2 the user must change something. Errors that crosslift raises on purpose are
printed without a traceback; anything else is a bug and keeps it.

Each command imports what it needs when it is called: `crosslift --help` must not wait for polars, let alone for torch.
"""

from __future__ import annotations

import sys

import typer

from crosslift.cli.commands import (
    importing,
    judging,
    listing,
    pocket,
    recommending,
    results,
    running,
    studies,
    translating,
)
from crosslift.cli.printing import say
from crosslift.errors import CrossliftError

app = typer.Typer(
    name="crosslift",
    help="Which languages, how much of each? Controlled studies of multilingual post-training.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command()(studies.new)
app.command()(studies.check)
app.command()(studies.plan)
app.command()(studies.prepare)
app.command()(running.run)
app.command()(running.status)
app.command()(running.work)
app.command()(results.score)
app.command()(results.report)
app.command("import")(importing.import_results)
app.command()(recommending.recommend)
app.command()(judging.judge)
app.command()(translating.translate)
app.command("list")(listing.list_members)
app.command()(listing.schema)
app.add_typer(pocket.app, name="pocket")


def main() -> None:
    """Entry point of `crosslift` and `python -m crosslift`."""
    try:
        app()
    except CrossliftError as error:
        say(str(error), err=True)
        sys.exit(2)
