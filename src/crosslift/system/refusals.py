"""Conversion of operating-system errors (disk space, permissions, file descriptors, memory) into messages for users.

Python's own exceptions carry an errno. Rust libraries put it into the message ("os error 28"), numpy reports the number
of elements written, and a library that cannot start a thread panics. This module maps all of them to the same errors,
none of which is a bug in crosslift.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator

from crosslift.errors import CrossliftError, StoreError

_ELSEWHERE = "Choose another folder, or change its permissions."
_NOTHING_LOST = "Free disk space and start again; finished work is kept."
_AGAIN = "Then start again; finished work is kept."

REMEDIES = {
    errno.EACCES: _ELSEWHERE,
    errno.EPERM: _ELSEWHERE,
    errno.EROFS: _ELSEWHERE,
    errno.ENOTDIR: "One of its parents is a file; choose another folder.",
    errno.EEXIST: "A file exists at the path of a folder; choose another folder.",
    errno.EISDIR: "A folder exists at the path of the file; move it away.",
    errno.ENAMETOOLONG: "Choose shorter names.",
    errno.ENOSPC: f"The disk is full. {_NOTHING_LOST}",
    errno.EDQUOT: f"The disk quota is exceeded. {_NOTHING_LOST}",
    errno.EFBIG: f"The file exceeds the size limit. Raise the limit (ulimit -f). {_AGAIN}",
    errno.EMFILE: f"The process has too many open files. Raise the limit (ulimit -n 1024). {_AGAIN}",
    errno.ENFILE: f"This machine has too many open files; stop other programs. {_AGAIN}",
    errno.ENOMEM: f"The process ran out of memory. Give it more memory. {_AGAIN}",
    errno.EAGAIN: f"No further thread or process can be started: raise the limit on memory or processes. {_AGAIN}",
    errno.EIO: f"The disk reported an I/O error. Check the disk. {_AGAIN}",
    errno.ESTALE: f"The folder has been moved or unmounted. Restore it. {_AGAIN}",
}
"""errno -> remedy."""

OF_THE_FILE_SYSTEM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""Errors that affect every file of a file system: after one of them, no other run can be written either."""

_IN_RUST = re.compile(r"os error (\d+)|code: (\d+), kind:")
_SHORT_WRITE = re.compile(r"\d+ requested and \d+ written")
_NO_MEMORY = re.compile(r"cannot allocate memory|failed to map segment|out of memory", re.IGNORECASE)
_NO_THREAD = re.compile(r"can't start new thread")


def refusal(error: BaseException) -> int | None:
    """Determine the errno of an exception or one of its causes.

    Args:
        error: any exception.

    Returns:
        The errno, one of `REMEDIES`; None if the exception is not an operating-system error.
    """
    for one in _causes(error):
        if isinstance(one, MemoryError):
            return errno.ENOMEM
        number = one.errno if isinstance(one, OSError) else None
        text = str(one)
        if number is None and (found := _IN_RUST.search(text)):
            number = int(found[1] or found[2])
        if number is None and isinstance(one, OSError) and _SHORT_WRITE.search(text):
            number = errno.ENOSPC  # numpy does not keep the errno; a file size limit gives the same message
        if number is None and isinstance(one, (ImportError, OSError, RuntimeError)) and _NO_MEMORY.search(text):
            number = errno.ENOMEM
        if number is None and isinstance(one, RuntimeError) and _NO_THREAD.search(text):
            number = errno.EAGAIN
        if number in REMEDIES:
            return number
    # Without memory, handlers and imports fail in arbitrary ways while a MemoryError is being handled.
    return errno.ENOMEM if any(isinstance(one, MemoryError) for one in _contexts(error)) else None


def as_store_error(error: BaseException, what: str) -> StoreError | None:
    """Convert an operating-system error into a `StoreError` with a remedy.

    Args:
        error: any exception.
        what: start of the message, such as `/data/study/lock.json cannot be written`.

    Returns:
        The error to raise; None if the exception is not an operating-system error.
    """
    number = refusal(error)
    if number is None or isinstance(error, CrossliftError):
        return None
    reason = error.strerror if isinstance(error, OSError) and error.strerror else errno_text(number)
    found = StoreError(f"{what}: {reason}. {REMEDIES[number]}")
    found.errno = number
    return found


@contextlib.contextmanager
def refused(what: str) -> Iterator[None]:
    """Context manager that converts operating-system errors.

    Args:
        what: start of the message, as for `as_store_error`.

    Raises:
        StoreError: the block ended in an operating-system error.
    """
    try:
        yield
    except OSError as error:
        found = as_store_error(error, what)
        if found is None:
            raise
        raise found from error


def errno_text(number: int) -> str:
    """Return the system's text for an errno, such as `No space left on device`."""
    return os.strerror(number)


def _contexts(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and those that were being handled when it was raised."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__  # not __context__: an exception that was being handled is not the cause
