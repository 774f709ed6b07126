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
    from crosslift.importing.ask import run_analyses
    from crosslift.importing.head import page_header
    from crosslift.importing.mapping import load_import
    from crosslift.importing.results import read_results, write_results
    from crosslift.reporting.questions.page import write_page
    from crosslift.system.files import remove_leftovers
    from crosslift.system.leases import waiting_lease

    definition = load_import(mapping, data=data)
    results = read_results(definition)
    say(
        f"{definition.name}: {results.runs.height} runs, {results.cells.height:,} cells"
        + (f", {results.scores.height:,} scores of samples" if results.scores.height else "")
    )
    analysed = run_analyses(definition, results, say=say)
    with waiting_lease(folder):
        remove_leftovers(folder, below=True)
        write_results(folder, definition, results)
        page = write_page(folder, page_header(definition, results), analysed)
    say(f"{page}")
