"""Opening a study: its file, its site and its folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from crosslift.comparing.result_set import ResultSet
    from crosslift.execution.folder.step_graph import StepGraph
    from crosslift.execution.folder.store import Store
    from crosslift.studies.site import Site
    from crosslift.studies.study import Study


def open_graph(
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


def open_results(folder: Path) -> tuple[Study, Store]:
    """Open a study, or one of its earlier definitions, whose results are only read.

    Args:
        folder: folder of the study; with `@N` at its end, definition N.

    Returns:
        The study, and the store of its results.

    Raises:
        StudyError: the study file is invalid.
        UnknownName: there is no definition N.
    """
    from crosslift.execution.definitions.records import STUDY_FILE, DefinitionStore, present_definition
    from crosslift.execution.folder.store import Store
    from crosslift.studies.parsing.load import load

    place, number = split_definition(folder)
    if number is None:
        study = load(place, data="optional")
        return study, Store(study.results_folder)
    present = present_definition(Store(place))
    if present is not None and present.number == number:
        return load(place, data="optional"), Store(place)
    store = DefinitionStore(place, number)
    return load(store.definition_folder / STUDY_FILE, data="optional", folder=place), store


def open_result_sets(folders: Sequence[Path]) -> list[ResultSet]:
    """Read the results of several studies, or definitions of studies.

    Args:
        folders: folders of studies; with `@N` at the end, definition N.

    Returns:
        The results, with unique labels, in the order of the folders.

    Raises:
        StudyError: a study file is invalid.
        UnknownName: there is no definition N.
        NotPrepared: a study file was edited since the study was run.
        StoreError: a study has not been prepared, or nothing of it has been evaluated.
    """
    from crosslift.comparing.result_set import read_result_set, unique_labels
    from crosslift.execution.definitions.records import STUDY_FILE, DefinitionStore
    from crosslift.execution.phases.prepare import require_prepared

    names = []
    for folder in folders:
        place, number = split_definition(folder)
        names.append(place.resolve().name + ("" if number is None else f"@{number}"))
    found = []
    for folder, label in zip(folders, unique_labels(names), strict=True):
        study, store = open_results(folder)
        if not isinstance(store, DefinitionStore):
            require_prepared(open_graph(study.folder, data="optional"))
        recorded = getattr(store, "definition_folder", study.folder) / STUDY_FILE
        found.append(read_result_set(study, store, label=label, study_file=recorded))
    return found


def split_definition(folder: Path) -> tuple[Path, int | None]:
    """Split `STUDY@2` into the folder of the study and the number of the definition; None without a number."""
    name, _, number = folder.name.rpartition("@")
    if name and number.isdecimal() and not folder.exists():
        return folder.with_name(name), int(number)
    return folder, None


def open_site(folder: Path, file: Path | None, *, executor: str | None = None, num_workers: int | None = None) -> Site:
    """Load the site: the given file, else site.toml in the study's folder, else this machine.

    Args:
        folder: folder of the study, or its study.toml.
        file: the site file, if given.
        executor: overrides the executor of the site file.
        num_workers: overrides the number of workers of the site file.

    Returns:
        The site.

    Raises:
        StudyError: the site file is invalid.
    """
    from crosslift.studies.site import Site, load_site

    found = site_file(folder, file)
    site = Site(executor=executor or "local") if found is None else load_site(found, executor=executor)
    return site if num_workers is None else replace(site, num_workers=num_workers)


def site_file(folder: Path, file: Path | None) -> Path | None:
    """Return the site file that applies: the given one, else site.toml in the study's folder; None if there is none."""
    beside = (folder if folder.is_dir() else folder.parent) / "site.toml"
    return file if file is not None else beside if beside.is_file() else None


def write_preset(preset: str, folder: Path, scale: str | None) -> tuple[str, str]:
    """Write the study file of a preset into a folder, and data.toml if its data have to be made.

    Args:
        preset: name of the preset.
        folder: folder to write; must not exist or be empty.
        scale: "full", "small" or "pocket"; None: full where there is a GPU.

    Returns:
        The scale, and the reason of its choice; the reason is empty if there was nothing to choose.

    Raises:
        UnknownName: there is no such preset, or it has no such scale.
        StoreError: the folder contains files.
    """
    from crosslift.errors import StoreError
    from crosslift.studies.presets import preset_data_text, preset_text, scales_of
    from crosslift.system.files import write_text

    known = scales_of(preset)
    why = ""
    if scale is None and len(known) > 1:
        from crosslift.execution.workers.pool import visible_gpus

        scale, why = ("full", "there is a GPU") if visible_gpus() else ("pocket", "no GPU was found")
    scale = scale or known[0]
    text = preset_text(preset, scale)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StoreError(
            f"{folder} exists and is not an empty folder. Choose another folder, such as: "
            f"crosslift new {preset} {folder / preset}"
        )
    steps = preset_data_text(preset, scale)
    if steps is not None:
        write_text(folder / "data.toml", steps)
    write_text(folder / "study.toml", text)
    return scale, why
