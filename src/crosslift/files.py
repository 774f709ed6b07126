"""Atomic files: a file is complete or absent, whenever the program is killed.

Everything is written to a temporary file beside its place and renamed into it, because a program that may be killed at
any moment must not leave a file that looks finished and is not.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crosslift.errors import StoreError


@contextlib.contextmanager
def atomic_write(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Yield a path to write to; afterwards it takes the place of `path` in one step, or vanishes on an exception.

    `durable` waits until the content is on the disk before it takes its place: after a power cut there is the old file
    or the new one. That costs milliseconds; what stands behind a done-marker (see `sync_folder`) or may be lost does
    without.

    Raises:
        StoreError: the place cannot be written: no right to, no room, a file where a folder should be.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if durable:
            _sync(temporary)
        temporary.replace(path)
    except OSError as error:
        if isinstance(error, StoreError) or error.errno not in _UNWRITABLE:
            raise
        raise StoreError(f"{path} cannot be written: {error.strerror}. {_UNWRITABLE[error.errno]}") from error
    finally:
        with contextlib.suppress(OSError):  # what kept it from being written may keep it from being removed
            temporary.unlink(missing_ok=True)


_ELSEWHERE = "Choose another folder, or change its permissions."
_UNWRITABLE = {
    errno.EACCES: _ELSEWHERE,
    errno.EPERM: _ELSEWHERE,
    errno.EROFS: _ELSEWHERE,
    errno.ENOTDIR: "One of its parents is a file; choose another folder.",
    errno.EEXIST: "A file stands where a folder should be; choose another folder.",
    errno.EISDIR: "A folder stands where the file should be; move it away.",
    errno.ENOSPC: "The disk is full. Make room and start again; nothing that is finished is lost.",
    errno.EDQUOT: "The quota is used up. Make room and start again; nothing that is finished is lost.",
}


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


def remove_leftovers(path: Path) -> None:
    """Remove what killed writers of this file left behind. Nobody may be writing it."""
    for leftover in path.parent.glob(f".{path.name}.*.tmp"):
        leftover.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:  # folders cannot be synchronised on every file system
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES):
            raise
    finally:
        os.close(descriptor)
