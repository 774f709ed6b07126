"""`crosslift pack`: a study as one archive, from which another machine continues.

The archive contains the study file, the corpora and models that it names, and every file of a finished step that a
done-marker lists, except checkpoints. Equal studies give equal bytes: members are sorted and have no owner and no time.
Everything in it is relative to the study; a path outside is an error, because it names a folder of this machine and
would not exist on another one.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from crosslift import __version__
from crosslift.errors import StoreError
from crosslift.execution.folder import checksums
from crosslift.execution.folder.base_models import local_folder, model_files
from crosslift.execution.folder.checksums import CHECKPOINT, MARKER, read_sealed, write_sealed
from crosslift.execution.folder.content_hashes import files_below
from crosslift.execution.folder.result_tables import REBUILT
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.fingerprint import fingerprint_file
from crosslift.studies.study import Study
from crosslift.system.files import atomic_write

CONTENTS = ".contents.json"
"""First member of an archive: its version, and size and SHA-256 of every other member."""
VERSION = 1
_SINGLE = ("lock.json", "runs.parquet", "scores.parquet", REBUILT)
"""Files of the results that belong to no step."""
_OF_RUNS = ("run.json", "provenance.json")
_TEXTS = (".json", ".jsonl", ".toml", ".html", ".csv", ".tex", ".svg", ".md")


@dataclass(frozen=True, kw_only=True)
class Packed:
    """Summary of an archive."""

    num_files: int
    num_bytes: int
    """Size of the files in bytes, before compression."""
    num_checkpoints: int
    """Checkpoints that were left out."""


def pack(graph: StepGraph, archive: Path) -> Packed:
    """Write an archive of a study, atomically.

    Args:
        graph: the steps of the study.
        archive: the file to write.

    Returns:
        Its summary.

    Raises:
        StoreError: the study has not been prepared, names paths outside of its folder, or the archive exists and is
            not a file.
    """
    graph.store.lock()
    if archive.is_dir():
        raise StoreError(f"{archive} is a folder. Give the name of a file, such as {archive / 'study.tar.gz'}.")
    with tempfile.TemporaryDirectory() as scratch:
        files = {**dict(_inputs(graph.study)), **dict(_results(graph))}
        files |= _with_relative_paths(graph, files, Path(scratch))
        _refuse_machine_paths(graph, files)
        table = _write(graph.study.name, dict(sorted(files.items())), archive)
    return Packed(
        num_files=len(table),
        num_bytes=sum(record["size"] for record in table.values()),
        num_checkpoints=sum(graph.store.checkpoint_folder(run).is_dir() for run in graph.runs),
    )


def _write(root: str, files: dict[str, Path], archive: Path) -> dict[str, dict[str, Any]]:
    table: dict[str, dict[str, Any]] = {
        name: {"size": file.stat().st_size, "sha256": fingerprint_file(file)} for name, file in files.items()
    }
    contents = {"archive": VERSION, "crosslift": __version__, "study": root, "files": table}
    text = (json.dumps(contents, indent=1, ensure_ascii=False) + "\n").encode()
    with (
        atomic_write(archive) as temporary,
        temporary.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=6) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        tar.addfile(_member(f"{root}/{CONTENTS}", len(text)), io.BytesIO(text))
        for name, file in files.items():
            with file.open("rb") as content:
                tar.addfile(_member(f"{root}/{name}", table[name]["size"]), content)
    return table


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, 0o644, 0
    return member


def _inputs(study: Study) -> Iterator[tuple[str, Path]]:
    """Yield name in the archive -> file for the study file, corpora, models and templates.

    Raises:
        StoreError: a path leads out of the study's folder; all of them are listed.
    """
    yield "study.toml", study.folder / "study.toml"
    problems: list[str] = []
    found: list[tuple[str, Path]] = []
    named = [(f"corpora.{name}.path", path) for name, path in study.paths.items()]
    for name, model in study.tokenizers.items():
        if not model.path.startswith("pocket:") and local_folder(name, model.path, study.folder) is not None:
            named.append((f"models.{name}.path", model.path))
        if model.template not in (None, "plain"):
            named.append((f"models.{name}.template", str(model.template)))
    for place, path in named:
        relative = PurePosixPath(path)
        if relative.is_absolute() or path.startswith("~") or ".." in relative.parts:
            problems.append(
                f"{place}: {path} is outside of the study's folder, so no other machine would find it. Move it into "
                "the folder and correct the path, which makes no finished step stale."
            )
            continue
        base = study.folder / path
        chosen = model_files(base) if place.startswith("models.") and base.is_dir() else files_below(base)
        found += [
            (str(relative if file == base else relative / file.relative_to(base).as_posix()), file) for file in chosen
        ]
    if problems:
        raise StoreError("\n".join(problems))
    yield from found


def _results(graph: StepGraph) -> Iterator[tuple[str, Path]]:
    """Yield name in the archive -> file for the results: finished steps without checkpoints, and the tables."""
    store = graph.store
    for name in _SINGLE:
        if (store.folder / name).is_file():
            yield name, store.folder / name
    for run in store.lock()["runs"]:
        for name in _OF_RUNS:
            if (store.run_folder(run) / name).is_file():
                yield f"runs/{run}/{name}", store.run_folder(run) / name
    for place in ("judgements/*.jsonl", "report/recommendation/**/*", "exploration/[0-9]*.json"):
        for file in store.folder.glob(place):
            if file.is_file() and not file.name.startswith("."):
                yield file.relative_to(store.folder).as_posix(), file
    for kind in ("corpora", "tokens", "mixtures", "runs", "report"):
        for marker in (store.folder / kind).rglob(MARKER):
            yield from _of_step(store.folder, marker.parent)


def _of_step(root: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    marker = checksums.read_marker(folder)
    if marker is None:
        return
    files: dict[str, Any] = marker.get("files", {})
    if "files" not in marker:  # written by a version without checksums
        files = checksums.records_of(folder)
    for name in (MARKER, *files):
        file = folder / name
        if not name.startswith(f"{CHECKPOINT}/") and file.is_file():
            yield file.relative_to(root).as_posix(), file


_ABSOLUTE = re.compile(rb'"path": "[/~]')


def _with_relative_paths(graph: StepGraph, files: dict[str, Path], scratch: Path) -> dict[str, Path]:
    """Replace the absolute paths that records of an earlier study file contain by the names of the files.

    Paths are recorded for messages only and are not part of any fingerprint.

    Args:
        graph: the steps of the study.
        files: name in the archive -> file.
        scratch: an empty folder.

    Returns:
        Name in the archive -> changed copy, including lock.json if a run.json has changed.
    """
    changed: dict[str, Path] = {}
    lock = graph.store.lock()
    for name, file in files.items():
        if PurePosixPath(name).name in (MARKER, "run.json") and _ABSOLUTE.search(file.read_bytes()):
            changed[name] = scratch / str(len(changed))
            checksum = write_sealed(changed[name], _shortened(read_sealed(file) or {}), durable=False)
            if name.startswith("runs/") and name.count("/") == 2 and "record" in lock["runs"].get(file.parent.name, {}):
                lock["runs"][file.parent.name]["record"] = checksum
    if changed:
        changed["lock.json"] = scratch / "lock.json"
        write_sealed(changed["lock.json"], lock, durable=False)
    return changed


def _shortened(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: PurePosixPath(one).name
            if key == "path" and isinstance(one, str) and one[:1] in "/~"
            else _shortened(one)
            for key, one in value.items()
        }
    return [_shortened(one) for one in value] if isinstance(value, list) else value


def _refuse_machine_paths(graph: StepGraph, files: dict[str, Path]) -> None:
    """Check that no text that crosslift wrote contains the path of the study's folder or of the home folder.

    Raises:
        StoreError: a file contains one.
    """
    secrets = {str(graph.store.folder.resolve()), str(graph.study.folder.resolve())}
    secrets |= {str(Path.home())} if len(Path.home().parts) > 2 else set()
    inputs = {name for name, _ in _inputs(graph.study)} - {"study.toml"}
    for name, file in files.items():
        if name in inputs or file.suffix not in _TEXTS or name.startswith("judgements/"):
            continue
        text = file.read_bytes()
        for secret in secrets:
            if secret.encode() in text:
                raise StoreError(
                    f"{name} contains {secret}, a path of this machine. Make the paths in study.toml relative; if they "
                    "are, remove the file's folder, and crosslift run creates it again."
                )
