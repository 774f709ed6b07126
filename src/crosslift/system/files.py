"""Atomic file writes: a file is complete or absent, even if the process is killed.

Every file is written to a temporary file in the same folder and then renamed, so that a killed process never leaves an
incomplete file under the final name.
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
    """Context manager that yields a temporary path and renames it to `path` on success.

    If the block raises an exception, the temporary file is removed and `path` is not changed.

    Args:
        path: the file to write; missing parent folders are created.
        durable: sync the content to disk before the rename, so that either the old or the new file exists after a power
            failure. This takes milliseconds and is unnecessary for files that a done-marker covers (see `sync_folder`)
            and for files that may be lost.

    Yields:
        The temporary path.

    Raises:
        StoreError: the file cannot be written, for example for lack of permission or disk space. Errors of the
            operating system that a library in Rust or C reports are included.
    """
    temporary = temporary_of(path)
    try:
        make_folder(path.parent)
        yield temporary
        if durable:
            _sync(temporary)
        temporary.replace(path)
    except Exception as error:
        cause = _cause_of_lost_number(temporary) if _LOST_NUMBER in str(error) else error
        found = as_store_error(cause, f"{path} cannot be written")
        if found is None and isinstance(error, FileNotFoundError):
            found = missing_root_error(path)
        if found is None:
            raise
        raise found from error
    finally:
        with contextlib.suppress(OSError):  # the cause of a failed write may also prevent the removal
            temporary.unlink(missing_ok=True)


_LOST_NUMBER = "thrift: transport error"
"""Said by the writer of Parquet's metadata, which does not keep the number of the operating system's error."""


def _cause_of_lost_number(file: Path) -> OSError:
    """Find out why a file that is to be replaced could not be written, by writing to it."""
    try:
        with file.open("ab", buffering=0) as opened:
            written = 0
            while written < 1 << 20:
                written += opened.write(bytes(1 << 16)) or 0
    except OSError as error:
        return error
    return OSError(errno.EIO, os.strerror(errno.EIO))


_roots: set[Path] = set()


def expect_folder(folder: Path) -> None:
    """Never create this folder again in this process.

    If the folder is missing later, it was moved; writes then fail instead of creating a second folder at the old path.

    Args:
        folder: the folder; if it does not exist yet, its nearest existing parent is registered.
    """
    place = folder.absolute()
    _roots.add(next(one for one in (place, *place.parents) if one.is_dir()))


def make_folder(folder: Path) -> None:
    """Create a folder and its parents.

    Args:
        folder: the folder to create.

    Raises:
        StoreError: the folder is inside one that was registered with `expect_folder` and no longer exists.
    """
    if (gone := missing_root_error(folder)) is not None:
        raise gone
    folder.mkdir(parents=True, exist_ok=True)


def missing_root_error(path: Path) -> StoreError | None:
    """Check whether the registered folder that contains a path still exists (see `expect_folder`).

    Args:
        path: any path.

    Returns:
        The error to raise if the folder no longer exists; None if it exists or none is registered.
    """
    for root in _roots:
        if path.absolute().is_relative_to(root) and not root.is_dir():
            return StoreError(f"{root} has been moved, removed or unmounted. Restore it and start again.")
    return None


def temporary_of(path: Path) -> Path:
    """Create a unique temporary path in the folder of `path`.

    Args:
        path: the final path.

    Returns:
        A path whose name identifies the owning process (see `remove_leftovers`).
    """
    pid = os.getpid()
    owner = f"{machine_id()}-{pid}-{process_start_ticks(pid)}"
    return path.with_name(f".{path.name}.{owner}.{secrets.token_hex(4)}.tmp")


def write_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Write a UTF-8 text file atomically; arguments and errors as for `atomic_write`."""
    with atomic_write(path, durable=durable) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any, *, durable: bool = True) -> None:
    """Write a JSON file atomically, indented and with keys in the given order; equal values give equal bytes."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=1) + "\n", durable=durable)


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Args:
        path: the file.

    Returns:
        The parsed value; None if the file does not exist.

    Raises:
        StoreError: the file cannot be read or is not JSON, because it was edited or the disk is damaged.
    """
    text = read_bytes(path)
    return None if text is None else parse_json(path, text)


def read_bytes(path: Path) -> bytes | None:
    """Read a file.

    Args:
        path: the file.

    Returns:
        The content; None if the file does not exist.

    Raises:
        StoreError: the file cannot be read.
    """
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}. Move it away; it will be created again.") from error


def parse_json(path: Path, text: bytes) -> Any:
    """Parse the content of a JSON file.

    Args:
        path: the file, for the error message.
        text: the content.

    Returns:
        The parsed value.

    Raises:
        StoreError: the content is not JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # RecursionError: about a thousand nesting levels
        raise StoreError(
            f"{path} is not JSON ({error}). Remove it; the results that depend on it will be created again."
        ) from error


def remove(path: Path) -> None:
    """Remove a file or a folder with its contents, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Sync every file below a folder to disk; required before a done-marker is written."""
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not file.is_symlink():
            _sync(file)
    _sync(folder)


LEFTOVER_SECONDS = 3600.0
"""Age in seconds after which a temporary file of another machine is considered abandoned."""

_TEMPORARY = re.compile(r"\..+\.tmp")
_OWNER = re.compile(r"\.([0-9a-f]{12})-(\d+)-(\d*)\.[0-9a-f]{8}\.tmp$")


def remove_leftovers(folder: Path, *, below: bool = False) -> None:
    """Remove temporary files of killed processes from a folder.

    Files of running processes are kept, so other processes may write at the same time. Files that cannot be removed
    are ignored.

    Args:
        folder: the folder; it may be missing.
        below: include all subfolders.
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
    except OSError as error:  # some file systems do not support fsync on folders
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES):
            raise
    finally:
        os.close(descriptor)
