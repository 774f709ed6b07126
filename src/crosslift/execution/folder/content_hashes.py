"""Cached content hashes of input files, so that a restart does not read gigabytes.

Corpus files and base models enter the identity of a run by content, never by path or date. Hashing them at each start
would take as long as reading the largest model, so each hash is cached with the file's size and mtime; a file whose
size and mtime have not changed is considered unchanged.
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
    """Cache of content hashes in one file of the study's folder, which may be deleted at any time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, dict[str, list[Any]]] = {}
        with contextlib.suppress(StoreError):  # damaged: everything is hashed again
            found = (read_sealed(path) or {}).get("files")
            if isinstance(found, dict) and all(isinstance(files, dict) for files in found.values()):
                self._known = found
        self._changed = False

    def of(self, key: str, root: Path, files: Iterable[Path]) -> dict[str, str]:
        """Hash files, using cached hashes where size and mtime have not changed.

        Args:
            key: role of the files in the study, such as "corpora/math-train". Paths are not stored, so the cache
                remains valid when the study and its inputs are moved.
            root: base of the relative names.
            files: the files.

        Returns:
            Relative name -> hash.
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
        """Fingerprint a file (independent of its name), or all files below a folder that are not hidden.

        Of a path that does not exist, the hashes in the cache are used, so that the results of an archived study can be
        read without its data. Commands that need the data load the study with `data="required"`.

        Raises:
            StoreError: the path does not exist and is not in the cache, or the folder is empty.
        """
        if not path.exists() and (known := self._known.get(key)):
            cached = {name: entry[2] for name, entry in known.items()}
            return str(cached[path.name]) if list(cached) == [path.name] else fingerprint(cached)
        found = self.of(key, path, files_below(path))
        return found[path.name] if path.is_file() else fingerprint(found)

    def save(self) -> None:
        """Write the cache if it has changed."""
        if self._changed:
            write_sealed(self._path, {"files": self._known}, durable=False)
            self._changed = False


def files_below(path: Path) -> list[Path]:
    """List the files at a path. Symbolic links to folders are followed, because data are often on another disk.

    Args:
        path: a file or folder.

    Returns:
        The file itself, or all files below the folder that are not hidden, sorted.

    Raises:
        StoreError: the path does not exist, or the folder is empty.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise StoreError(f"{path} does not exist. Correct the path in study.toml, or restore the file.")
    found: list[Path] = []
    for folder, names, files in os.walk(path, followlinks=True):
        names[:] = [name for name in names if not name.startswith(".")]
        found += [Path(folder, name) for name in files if not name.startswith(".")]
    if not found:
        raise StoreError(f"{path} contains no files. Correct the path in study.toml, or restore the files.")
    return sorted(found)
