"""Atomic files: a file is complete or absent, whenever the program is killed.

Everything is written to a temporary file beside its place and renamed into it, because a program that may be killed at
any moment must not leave a file that looks finished and is not.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crosslift.errors import StoreError
from crosslift.system.processes import is_running, machine_id, process_start_ticks
from crosslift.system.refusals import as_store_error


@contextlib.contextmanager
def atomic_write(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a path to write to; afterwards it takes the place of `path` in one step, or vanishes on an exception.

    `durable` waits until the content is on the disk before it takes its place: after a power cut there is the old file
    or the new one. That costs milliseconds; what stands behind a done-marker (see `sync_folder`) or may be lost does
    without.

    Raises:
        StoreError: the place cannot be written: no right to, no room, a file where a folder should be, and whatever
            else the system refuses, also where a library in Rust or C was the one to meet it.
    """
    temporary = temporary_of(path)
    try:
        make_folder(path.parent)
        yield temporary
        if durable:
            _sync(temporary)
        temporary.replace(path)
    except Exception as error:
        found = as_store_error(error, f"{path} cannot be written")
        if found is None and isinstance(error, FileNotFoundError):
            found = missing_root_error(path)
        if found is None:
            raise
        raise found from error
    finally:
        with contextlib.suppress(OSError):  # what kept it from being written may keep it from being removed
            temporary.unlink(missing_ok=True)


_roots: set[Path] = set()


def expect_folder(folder: Path) -> None:
    """From now on this folder is never made anew: where it is missing it has been moved, and writing must stop rather
    than begin a second folder in its place."""
    _roots.add(folder.absolute())


def make_folder(folder: Path) -> None:
    """Make a folder with its parents, unless it belongs to one that `expect_folder` names and that is gone.

    Raises:
        StoreError: it is gone.
    """
    if (gone := missing_root_error(folder)) is not None:
        raise gone
    folder.mkdir(parents=True, exist_ok=True)


def missing_root_error(path: Path) -> StoreError | None:
    """The error that the expected folder in which a path lies is gone; None where it is there, or none is expected."""
    for root in _roots:
        if path.absolute().is_relative_to(root) and not root.is_dir():
            return StoreError(f"{root} has been moved, removed or unmounted. Bring it back and start again.")
    return None


def temporary_of(path: Path) -> Path:
    """A name for a temporary file beside `path`, which says whose it is (see `remove_leftovers`)."""
    pid = os.getpid()
    owner = f"{machine_id()}-{pid}-{process_start_ticks(pid)}"
    return path.with_name(f".{path.name}.{owner}.{secrets.token_hex(4)}.tmp")


def write_text(path: Path, text: str, *, durable: bool = True) -> None:
    with atomic_write(path, durable=durable) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any, *, durable: bool = True) -> None:
    """Indented, keys in the order given: for people to read, and the same bytes for the same value."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=1) + "\n", durable=durable)


def read_json(path: Path) -> Any:
    """The value, or None when there is no such file.

    Raises:
        StoreError: the file is not JSON or cannot be read. Nothing here writes such a file: somebody edited it, or the
            disk is damaged.
    """
    text = read_bytes(path)
    return None if text is None else parse_json(path, text)


def read_bytes(path: Path) -> bytes | None:
    """The content, or None when there is no such file.

    Raises:
        StoreError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}. Move it away, and it is made again.") from error


def parse_json(path: Path, text: bytes) -> Any:
    """Raises `StoreError` naming `path` where the text is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # nested a thousand deep
        raise StoreError(f"{path} is not JSON ({error}). Remove it, and what depends on it is made again.") from error


def remove(path: Path) -> None:
    """Remove a file or a folder with all that is in it, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Wait until every file below the folder is on the disk: before a done-marker says so."""
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not file.is_symlink():
            _sync(file)
    _sync(folder)


LEFTOVER_SECONDS = 3600.0
"""A temporary file of another machine that nobody has written for so long was left there by a process that is gone."""

_TEMPORARY = re.compile(r"\..+\.tmp")
_OWNER = re.compile(r"\.([0-9a-f]{12})-(\d+)-(\d*)\.[0-9a-f]{8}\.tmp$")


def remove_leftovers(folder: Path, *, below: bool = False) -> None:
    """Remove the temporary files that killed processes left in a folder. Files of processes that live are left alone,
    so others may be writing meanwhile. What cannot be removed stays: this is tidying.

    Args:
        below: also in all folders below it.
    """
    with contextlib.suppress(OSError):
        with os.scandir(folder) as entries:
            found = list(entries)
        for entry in found:
            if below and entry.is_dir(follow_symlinks=False):
                remove_leftovers(Path(entry.path), below=True)
            elif _TEMPORARY.fullmatch(entry.name) and _is_left_over(entry):
                with contextlib.suppress(OSError):
                    Path(entry.path).unlink(missing_ok=True)


def _is_left_over(entry: os.DirEntry[str]) -> bool:
    owner = _OWNER.search(entry.name)
    if owner is not None and owner[1] == machine_id():
        return not is_running(int(owner[2]), owner[3])
    try:
        return time.time() - entry.stat(follow_symlinks=False).st_mtime > LEFTOVER_SECONDS
    except OSError:
        return False


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:  # folders cannot be synchronised on every file system
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES):
            raise
    finally:
        os.close(descriptor)
