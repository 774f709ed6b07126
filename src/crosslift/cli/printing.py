"""Output of the command line, with control characters and markup in untrusted text escaped.

Names, ids and answers come from corpora and models. Rich would interpret `[sw]` as a style and hide it, and a terminal
interprets ESC as the start of a control sequence.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import typer

from crosslift.errors import visible

if TYPE_CHECKING:
    from rich.console import Console

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
WIDE = 240
"""Width in characters of tables that are not printed to a terminal."""


def say(text: object = "", *, err: bool = False) -> None:
    """Print a line with control characters escaped.

    Args:
        text: the line.
        err: print to standard error.
    """
    typer.echo(visible(str(text)), err=err)


def cell(text: str) -> str:
    """Escape a text for a table cell and truncate it to 1,000 characters."""
    return visible(text, 1000)


def console(*, err: bool = False) -> Console:
    """Create a console for tables and progress bars, with markup and emoji codes disabled.

    Args:
        err: write to standard error.
    """
    from rich.console import Console

    screen = Console(stderr=err, markup=False, emoji=False)
    if not screen.is_terminal:  # a file or another program, which finds one row per line
        screen.width = WIDE
    return screen


class LogFormatter(logging.Formatter):
    """Log formatter that escapes control characters."""

    def __init__(self) -> None:
        super().__init__(LOG_FORMAT)

    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record))


def log_to_terminal() -> None:
    """Send the log of this process to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(LogFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    for name in ("torchao", "torch.utils._pytree"):  # remarks on kernels that are not used, with a path of the machine
        logging.getLogger(name).setLevel(logging.ERROR)
