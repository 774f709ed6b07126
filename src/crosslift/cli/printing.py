"""How the command line prints: what stands in files of others is shown and never obeyed.

Names, ids and answers come from corpora and models. In rich's markup `[sw]` is a style and would vanish; a terminal
takes ESC for the beginning of a command.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import typer

from crosslift.errors import visible

if TYPE_CHECKING:
    from rich.console import Console

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def say(text: object = "", *, err: bool = False) -> None:
    """Print a line, its control characters as escapes."""
    typer.echo(visible(str(text)), err=err)


def cell(text: str) -> str:
    """A text for one cell of a table."""
    return visible(text, 1000)


def console(*, err: bool = False) -> Console:
    """For tables and bars: square brackets and colons are text."""
    from rich.console import Console

    return Console(stderr=err, markup=False, emoji=False)


class LogFormatter(logging.Formatter):
    """Lines of a log, their control characters as escapes."""

    def __init__(self) -> None:
        super().__init__(LOG_FORMAT)

    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record))


def log_to_terminal() -> None:
    """Send the log of this process to its standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(LogFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
