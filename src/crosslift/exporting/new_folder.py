"""Folders that appear complete or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crosslift.errors import StoreError
from crosslift.system.files import make_folder, remove, temporary_of


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Context manager that yields an empty temporary folder and renames it to `folder` on success.

    Args:
        folder: the folder to create; it must not exist, or be empty.

    Yields:
        The temporary folder, next to `folder`. It is removed if the block raises an exception.

    Raises:
        StoreError: the folder exists and is not empty.
    """
    refuse_used(folder)
    partial = temporary_of(folder.absolute())
    try:
        make_folder(partial)
        yield partial
        if folder.exists():
            folder.rmdir()
        partial.rename(folder)
    finally:
        remove(partial)


def refuse_used(folder: Path) -> None:
    """Check that a folder does not exist or is empty.

    Raises:
        StoreError: it is not.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StoreError(f"{folder} exists and is not an empty folder. Choose another folder.")
