"""Command-line interface. It parses arguments, calls the other packages and prints results; it contains no study logic.

Exit codes: 0 done, 1 some runs failed, 2 the user must change something. Errors of crosslift are printed without a
traceback; any other exception is a bug and keeps its traceback.

Each command imports its dependencies when it is called, so that `crosslift --help` does not load polars or torch.
"""

from __future__ import annotations

import contextlib
import re
import sys
from pathlib import Path

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
    viewing,
)
from crosslift.cli.printing import say
from crosslift.errors import CrossliftError, StoreError
from crosslift.extras import missing
from crosslift.system.refusals import as_store_error

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
app.command()(viewing.view)
app.command()(running.work)
app.command()(running.verify)
app.command()(results.score)
app.command()(results.report)
app.command("import")(importing.import_results)
app.command()(recommending.recommend)
app.command()(judging.judge)
app.command()(translating.translate)
app.command("list")(listing.list_members)
app.command()(listing.schema)
app.add_typer(pocket.app, name="pocket")


MIN_DESCRIPTORS = 64
"""Minimum number of file descriptors; with fewer, libraries fail during startup."""


_IN_MESSAGE = re.compile(r"\(os error 2\)(?:: |.*?['\"])(/[^'\"]*)")
"""Path of the missing file in error messages of Rust libraries."""


def main() -> None:
    """Entry point of `crosslift` and `python -m crosslift`.

    Errors of the operating system are not bugs and are also printed without a traceback.
    """
    try:
        _raise_descriptor_limit()
        app()
    except CrossliftError as error:
        _end(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except ModuleNotFoundError as error:
        absent = missing(error)
        if absent is None:
            raise
        _end(str(absent))
    except BaseException as error:  # Rust panics are not subclasses of Exception
        found = _missing_folder(error) or as_store_error(error, _refused_what(error))
        if found is None:
            raise
        _end(str(found))


def _missing_folder(error: BaseException) -> StoreError | None:
    """Return the error for a file that was not found because the folder of the study was moved; None otherwise."""
    found = _IN_MESSAGE.search(str(error)) if isinstance(error, FileNotFoundError) else None
    name = getattr(error, "filename", None) or (found and found[1])
    if not isinstance(name, str):
        return None
    from crosslift.system.files import missing_root_error

    return missing_root_error(Path(name))


def _end(message: str) -> None:
    with contextlib.suppress(OSError):  # standard error may be redirected to a full disk
        say(message, err=True)
    sys.exit(2)


def _refused_what(error: BaseException) -> str:
    name = getattr(error, "filename", None)
    return f"{name} cannot be read or written" if name else "The operating system reported an error"


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
