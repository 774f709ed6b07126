"""Arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from crosslift.execution.folder.step_graph import StepGraph
    from crosslift.execution.folder.store import Store
    from crosslift.studies.site import Site

Folder = Annotated[Path, typer.Argument(metavar="STUDY", help="Folder of the study, with study.toml in it.")]
SiteFile = Annotated[
    Path | None, typer.Option("--site", metavar="FILE", help="Where it runs. Default: site.toml in the study's folder.")
]


def open_study(
    folder: Path, *, data: Literal["required", "optional"] = "required", site: Site | None = None
) -> StepGraph:
    """The study in a folder, with its steps; `data` as `studies.load.load` takes it. A site may ask for a rehearsal."""
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


def tell_damage(store: Store) -> None:
    """Say what was left out of what was read, because it is damaged."""
    for line in store.damage_lines():
        typer.echo(line, err=True)
    if store.damage:
        typer.echo("What is damaged was left out. crosslift run makes it again where it can.", err=True)


def open_site(folder: Path, file: Path | None, *, executor: str | None = None) -> Site:
    """Where it runs: the file that is named, else site.toml beside study.toml, else this machine."""
    from crosslift.studies.site import Site, load_site

    found = site_file(folder, file)
    return Site(executor=executor or "local") if found is None else load_site(found, executor=executor)


def site_file(folder: Path, file: Path | None) -> Path | None:
    """The site file in force."""
    beside = (folder if folder.is_dir() else folder.parent) / "site.toml"
    return file if file is not None else beside if beside.is_file() else None
