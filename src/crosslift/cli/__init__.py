"""Command-line interface. It parses arguments, calls the other packages and prints results; it contains no study logic.

Exit codes: 0 done, 1 some runs failed, 2 the user must change something. Errors of crosslift are printed without a
traceback; any other exception is a bug and keeps its traceback.

Each command imports its dependencies when it is called, so that `crosslift --help` does not load polars or torch.
"""

from __future__ import annotations

import contextlib
import sys
from typing import Annotated

import typer

from crosslift import __version__
from crosslift.api.failures import as_crosslift_error
from crosslift.cli.commands import (
    definitions,
    exporting,
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
from crosslift.errors import StoreError

app = typer.Typer(
    name="crosslift",
    help="Which languages, how much of each? Controlled studies of multilingual post-training.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        say(f"crosslift {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version, and stop.")
    ] = False,
) -> None:
    """Which languages, how much of each? Controlled studies of multilingual post-training."""


app.command()(studies.new)
app.command()(studies.pilot)
app.command()(studies.check)
app.command("read")(studies.read_data)
app.command()(translating.data)
app.command()(studies.plan)
app.command()(studies.prepare)
app.command()(running.run)
app.command()(running.status)
app.command()(running.view)
app.command()(running.work)
app.command()(running.cancel)
app.command()(running.verify)
app.command()(definitions.definitions)
app.command()(definitions.clean)
app.command()(results.score)
app.command()(results.report)
app.command()(results.compare)
app.command("import")(importing.import_results)
app.add_typer(exporting.app, name="export")
app.command()(exporting.pack)
app.command()(exporting.unpack)
app.command()(recommending.recommend)
app.command()(recommending.explore)
app.command()(running.train_final)
app.command()(judging.judge)
app.command()(translating.translate)
app.command()(translating.complete)
app.command()(translating.review)
app.command("list")(listing.list_members)
app.command("check-language")(listing.check_language)
app.command()(listing.schema)
app.add_typer(pocket.app, name="pocket")


PROGRAM = "crosslift"
"""Name in messages and in the variable of shell completion, also if started as `python -m crosslift`."""
MIN_DESCRIPTORS = 64
"""Minimum number of file descriptors; with fewer, libraries fail during startup."""


def main() -> None:
    """Entry point of `crosslift` and `python -m crosslift`.

    Errors of the operating system are not bugs and are also printed without a traceback.
    """
    try:
        _raise_descriptor_limit()
        app(prog_name=PROGRAM)
    except KeyboardInterrupt:
        sys.exit(130)
    except BaseException as error:  # Rust panics are not subclasses of Exception
        found = as_crosslift_error(error)
        if found is None:
            raise
        _end(str(found))


def _end(message: str) -> None:
    with contextlib.suppress(OSError):  # standard error may be redirected to a full disk
        say(message, err=True)
    sys.exit(2)


def _raise_descriptor_limit() -> None:
    """Raise the soft limit of file descriptors if it is too low.

    Raises:
        StoreError: the hard limit is too low.
    """
    try:
        import resource
    except ImportError:  # not a Unix
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < MIN_DESCRIPTORS:
        enough = hard == resource.RLIM_INFINITY or hard >= MIN_DESCRIPTORS
        if not enough:
            raise StoreError(
                f"The limit of open files is {soft}, but crosslift needs at least {MIN_DESCRIPTORS}. Raise the limit "
                "(ulimit -n 1024) and start again."
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024 if hard == resource.RLIM_INFINITY else min(hard, 1024), hard))
