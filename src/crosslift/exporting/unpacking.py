"""`crosslift unpack`: the folder of a study from an archive that `crosslift pack` wrote.

An archive may come from anyone. It is read twice: the first time every member is compared with the table of contents,
the second time it is written. Only regular files with plain relative names are accepted, so that nothing is written
outside of the new folder, and the folder appears complete or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from crosslift.errors import StoreError, visible
from crosslift.execution.folder import checksums
from crosslift.execution.folder.checksums import MARKER
from crosslift.exporting.archive import CONTENTS, VERSION
from crosslift.exporting.new_folder import new_folder, refuse_used

MAX_CONTENTS = 256 << 20
"""Maximum size in bytes of the table of contents."""
_BLOCK = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9_+-]{1,120}")
"""A name of a study, which is the name of the archive's only folder."""


def study_of(archive: Path) -> str:
    """Read the name of the study in an archive.

    Args:
        archive: the file.

    Returns:
        The name, a valid name of a folder.

    Raises:
        StoreError: the file is not an archive of a study.
    """
    with _opened(archive) as tar:
        return str(_contents(tar)["study"])


def unpack(archive: Path, folder: Path) -> int:
    """Write the study of an archive to a new folder.

    Args:
        archive: the file.
        folder: the folder to create; it must not exist, or be empty.

    Returns:
        The number of files.

    Raises:
        StoreError: the file is not an archive of a study, is damaged, or contains anything but its files; or the
            folder is not empty. Nothing has been written.
    """
    refuse_used(folder)
    with _opened(archive) as tar:
        table = _contents(tar)["files"]
        _verify(tar, table)
    _refuse_without_room(table, folder)
    with new_folder(folder) as partial:
        with _opened(archive) as tar:
            _contents(tar)
            for name, content in _members(tar, table):
                file = partial / name
                file.parent.mkdir(parents=True, exist_ok=True)
                with file.open("xb") as target:
                    shutil.copyfileobj(content, target, _BLOCK)
        _restore_mtimes(partial)
    return len(table)


@contextmanager
def _opened(archive: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(archive, mode="r|gz") as tar:
            yield tar
    except FileNotFoundError as error:
        raise StoreError(f"{archive} does not exist. Correct the path.") from error
    except (tarfile.TarError, EOFError, zlib.error, ValueError, KeyError, TypeError, RecursionError) as error:
        said = visible(str(error) or type(error).__name__, 200)
        raise StoreError(
            f"{archive} is not an archive of crosslift pack, or is damaged ({said}). Copy it again."
        ) from error


def _contents(tar: tarfile.TarFile) -> dict[str, Any]:
    """Read the first member, the table of contents. Raises `ValueError` if it is invalid."""
    member = tar.next()
    if member is None or not member.isreg() or not member.name.endswith(f"/{CONTENTS}") or member.size > MAX_CONTENTS:
        raise ValueError("it has no table of contents")
    content = tar.extractfile(member)
    assert content is not None
    found = json.loads(content.read())
    if found["archive"] > VERSION:
        raise ValueError(f"it was written by a later version of crosslift: {found['crosslift']}")
    if not _NAME.fullmatch(found["study"]) or member.name != f"{found['study']}/{CONTENTS}":
        raise ValueError("the name of its study is invalid")
    for name, record in found["files"].items():
        if not _is_plain(name) or not isinstance(record["size"], int) or record["size"] < 0:
            raise ValueError(f"it contains the file name {name!r}")
    return dict(found)


def _is_plain(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return (
        0 < len(name) <= 4096
        and name == "/".join(parts)
        and not name.startswith("/")
        and not {"..", "."} & set(parts)
        and "\\" not in name
        and name.isprintable()
    )


def _members(tar: tarfile.TarFile, table: dict[str, Any]) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield name and content of the members after the table of contents. Raises `ValueError` if they differ from it."""
    left = dict(table)
    while (member := tar.next()) is not None:
        name = member.name.partition("/")[2]
        record = left.pop(name, None)
        content = tar.extractfile(member) if member.isreg() else None
        if record is None or content is None or member.size != record["size"]:
            raise ValueError(f"the member {member.name!r} is not in its table of contents")
        yield name, content
    if left:
        raise ValueError(f"{len(left)} files are missing, the first is {next(iter(left))}")


def _verify(tar: tarfile.TarFile, table: dict[str, Any]) -> None:
    for name, content in _members(tar, table):
        digest = hashlib.sha256()
        while block := content.read(_BLOCK):
            digest.update(block)
        if not digest.hexdigest().startswith(str(table[name]["sha256"])):
            raise ValueError(f"{name} does not match its checksum")


def _refuse_without_room(table: dict[str, Any], folder: Path) -> None:
    wanted = sum(record["size"] for record in table.values())
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if wanted > free:
        raise StoreError(
            f"{folder} needs {wanted / 1e9:.1f} GB, but {free / 1e9:.1f} GB are free. Choose a folder on another disk."
        )


def _restore_mtimes(folder: Path) -> None:
    """Set the times that done-markers record, so that quick checks need not hash the files."""
    for marker in folder.rglob(MARKER):
        for name, record in (checksums.read_marker(marker.parent) or {}).get("files", {}).items():
            file = marker.parent / name
            if file.is_file() and isinstance(record["mtime_ns"], int):
                os.utime(file, ns=(record["mtime_ns"], record["mtime_ns"]))
