"""Arguments shared by several commands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from crosslift.cli.printing import say

if TYPE_CHECKING:
    from crosslift.execution.folder.step_graph import StepGraph
    from crosslift.execution.folder.store import Store
    from crosslift.studies.site import Site

Folder = Annotated[Path, typer.Argument(metavar="STUDY", help="Folder of the study, which contains study.toml.")]
SiteFile = Annotated[
    Path | None, typer.Option("--site", metavar="FILE", help="Site file. Default: site.toml in the study's folder.")
]


def open_study(
    folder: Path, *, data: Literal["required", "optional"] = "required", site: Site | None = None
) -> StepGraph:
    """Load a study and build its step graph.

    Args:
        folder: folder of the study.
        data: as for `studies.parsing.load.load`.
        site: the site, which may specify a rehearsal.

    Returns:
        The step graph.

    Raises:
        StudyError: the study file is invalid.
    """
    from crosslift.execution.folder.step_graph import StepGraph
    from crosslift.execution.folder.store import Store
    from crosslift.studies.parsing.load import load
    from crosslift.system.files import expect_folder

    study = load(folder, data=data)
    expect_folder(study.folder)
    if site is not None and site.rehearsal is not None:
        from crosslift.studies.planning.rehearsal import rehearse

        study = rehearse(study, site.rehearsal)
    return StepGraph(study, Store(study.results_folder))


def report_damage(store: Store) -> None:
    """Print the damaged files that were skipped when the study was read."""
    for line in store.damage_lines():
        say(line, err=True)
    if store.damage:
        say("Damaged results were skipped. crosslift run creates them again where possible.", err=True)


def open_site(folder: Path, file: Path | None, *, executor: str | None = None) -> Site:
    """Load the site: the given file, else site.toml in the study's folder, else this machine.

    Args:
        folder: folder of the study, or its study.toml.
        file: the site file, if given.
        executor: overrides the executor of the site file.

    Returns:
        The site.
    """
    from crosslift.studies.site import Site, load_site

    found = site_file(folder, file)
    return Site(executor=executor or "local") if found is None else load_site(found, executor=executor)


def site_file(folder: Path, file: Path | None) -> Path | None:
    """Return the site file that applies: the given one, else site.toml in the study's folder; None if there is none."""
    beside = (folder if folder.is_dir() else folder.parent) / "site.toml"
    return file if file is not None else beside if beside.is_file() else None
