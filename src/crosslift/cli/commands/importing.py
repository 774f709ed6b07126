"""import: results that were made elsewhere, and what they can tell."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crosslift.cli.printing import say


def import_results(
    mapping: Annotated[Path, typer.Argument(help="What the columns mean: a TOML file, see docs/importing.md.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where tables, answers and the page go.")],
    data: Annotated[
        Path | None, typer.Option(help="Where the mapping's paths begin. Default: the mapping's folder.")
    ] = None,
) -> None:
    """Read results made elsewhere into crosslift's tables, and ask them what the mapping asks."""
    from crosslift.importing.ask import run_analyses
    from crosslift.importing.head import page_header
    from crosslift.importing.mapping import load_import
    from crosslift.importing.results import read_results, write_results
    from crosslift.reporting.questions.page import write_page
    from crosslift.system.files import remove_leftovers
    from crosslift.system.leases import waiting_lease

    asked = load_import(mapping, data=data)
    results = read_results(asked)
    say(
        f"{asked.name}: {results.runs.height} runs, {results.cells.height:,} cells"
        + (f", {results.scores.height:,} scores of samples" if results.scores.height else "")
    )
    analysed = run_analyses(asked, results, say=say)
    with waiting_lease(folder):
        remove_leftovers(folder, below=True)
        write_results(folder, asked, results)
        page = write_page(folder, page_header(asked, results), analysed)
    say(f"{page}")
