"""Arguments shared by several commands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crosslift.api.opening import open_graph as open_study
from crosslift.api.opening import open_site, site_file
from crosslift.cli.printing import say

if TYPE_CHECKING:
    from crosslift.execution.folder.store import Store

Folder = Annotated[Path, typer.Argument(metavar="STUDY", help="Folder of the study, which contains study.toml.")]
SiteFile = Annotated[
    Path | None, typer.Option("--site", metavar="FILE", help="Site file. Default: site.toml in the study's folder.")
]


def report_damage(store: Store) -> None:
    """Print the damaged files that were skipped when the study was read."""
    for line in store.damage_lines():
        say(line, err=True)
    if store.damage:
        say("Damaged results were skipped. crosslift run creates them again where possible.", err=True)


__all__ = ["Folder", "SiteFile", "open_site", "open_study", "report_damage", "site_file"]
