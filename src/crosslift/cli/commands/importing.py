"""Command import: reads and analyses external results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crosslift.cli.printing import say


def import_results(
    mapping: Annotated[Path, typer.Argument(help="TOML file that maps the columns; see docs/importing.md.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Output folder for tables, analyses and the page.")],
    data: Annotated[
        Path | None, typer.Option(help="Base folder of the mapping's paths. Default: the mapping's folder.")
    ] = None,
) -> None:
    """Import external results into crosslift's tables, and run the analyses of the mapping."""
    from crosslift.api.tools import import_results as import_from

    say(import_from(mapping, folder, data=data, progress=say).page)
