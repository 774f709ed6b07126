"""Conversion of exceptions that are not bugs into errors of crosslift, for Python and the command line alike."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crosslift.errors import CrossliftError, StoreError
from crosslift.extras import missing
from crosslift.system.refusals import as_store_error

_IN_MESSAGE = re.compile(r"\(os error 2\)(?:: |.*?['\"])(/[^'\"]*)")
"""Path of the missing file in error messages of Rust libraries."""


def as_crosslift_error(error: BaseException) -> CrossliftError | None:
    """Convert an exception: a missing extra, a moved folder, or a failure of the operating system.

    Args:
        error: any exception; Rust panics are not subclasses of Exception.

    Returns:
        The error to report; None if the exception is a bug.
    """
    if isinstance(error, CrossliftError):
        return error
    if isinstance(error, ModuleNotFoundError):
        return missing(error)
    return _missing_folder(error) or as_store_error(error, _refused_what(error))


@contextmanager
def user_errors() -> Iterator[None]:
    """Context manager and decorator of public functions: what is not a bug is raised as a `CrossliftError`."""
    try:
        yield
    except (CrossliftError, KeyboardInterrupt):
        raise
    except BaseException as error:
        found = as_crosslift_error(error)
        if found is None:
            raise
        raise found from error


def _missing_folder(error: BaseException) -> StoreError | None:
    """Return the error for a file that was not found because the folder of the study was moved; None otherwise."""
    found = _IN_MESSAGE.search(str(error)) if isinstance(error, FileNotFoundError) else None
    name = getattr(error, "filename", None) or (found and found[1])
    if not isinstance(name, str):
        return None
    from crosslift.system.files import missing_root_error

    return missing_root_error(Path(name))


def _refused_what(error: BaseException) -> str:
    name = getattr(error, "filename", None)
    return f"{name} cannot be read or written" if name else "The operating system reported an error"
