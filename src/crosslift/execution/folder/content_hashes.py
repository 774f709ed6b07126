"""What input files contain, without reading gigabytes at every start.

A corpus file or a base model is part of a run's identity by its content, never by its path or its date. Hashing it at
each start would make a restart as slow as its largest model, so hashes are remembered together with size and time of
change: a file that has neither changed is taken as unchanged.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from crosslift.errors import StoreError
from crosslift.execution.folder.checksums import read_sealed, write_sealed
from crosslift.fingerprint import fingerprint, fingerprint_file


class ContentHashes:
    """Content hashes of files, remembered in one file of the study's folder. It may be deleted at any time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, dict[str, list[Any]]] = {}
        with contextlib.suppress(StoreError):  # damaged: everything is hashed again
            found = (read_sealed(path) or {}).get("files")
            if isinstance(found, dict) and all(isinstance(files, dict) for files in found.values()):
                self._known = found
        self._changed = False

    def of(self, key: str, root: Path, files: Iterable[Path]) -> dict[str, str]:
        """Relative name -> hash of each file.

        Args:
            key: what the files are to the study ("corpora/math-train"); no path is remembered, so that a study whose
                inputs moved together with it still knows them.
            root: what the names are relative to.
        """
        known = self._known.get(key, {})
        found: dict[str, list[Any]] = {}
        for file in files:
            name = file.name if file == root else file.relative_to(root).as_posix()
            stat = file.stat()
            before = known.get(name)
            if before is not None and before[:2] == [stat.st_size, stat.st_mtime_ns]:
                found[name] = before
            else:
                found[name] = [stat.st_size, stat.st_mtime_ns, fingerprint_file(file)]
        if found != known:
            self._known[key] = found
            self._changed = True
        return {name: entry[2] for name, entry in found.items()}

    def of_path(self, key: str, path: Path) -> str:
        """One fingerprint of a file, whatever its name, or of all files below a folder that are not hidden."""
        found = self.of(key, path, files_below(path))
        return found[path.name] if path.is_file() else fingerprint(found)

    def save(self) -> None:
        if self._changed:
            write_sealed(self._path, {"files": self._known}, durable=False)
            self._changed = False


def files_below(path: Path) -> list[Path]:
    """The file itself, or every file below the folder that is not hidden, sorted. Links to folders are followed: data
    and models often lie on another disk.

    Raises:
        StoreError: there is no such file or folder, or nothing is in it.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise StoreError(f"{path} does not exist. Correct the path in study.toml, or bring the file there.")
    found: list[Path] = []
    for folder, names, files in os.walk(path, followlinks=True):
        names[:] = [name for name in names if not name.startswith(".")]
        found += [Path(folder, name) for name in files if not name.startswith(".")]
    if not found:
        raise StoreError(f"{path} holds no file. Correct the path in study.toml, or bring the files there.")
    return sorted(found)
