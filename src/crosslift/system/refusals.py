"""What the operating system refuses (room, rights, descriptors, memory), as a message to a person.

Python's own errors carry a number. Libraries in Rust put it into their text ("os error 28"), numpy tells how many
elements it could write, and a library that cannot start a thread panics. All of them mean the same few things, and none
of them is a bug of this program.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator

from crosslift.errors import CrossliftError, StoreError

_ELSEWHERE = "Choose another folder, or change its permissions."
_NOTHING_LOST = "Make room and start again; nothing that is finished is lost."
_AGAIN = "Then start again; nothing that is finished is lost."

REMEDIES = {
    errno.EACCES: _ELSEWHERE,
    errno.EPERM: _ELSEWHERE,
    errno.EROFS: _ELSEWHERE,
    errno.ENOTDIR: "One of its parents is a file; choose another folder.",
    errno.EEXIST: "A file stands where a folder should be; choose another folder.",
    errno.EISDIR: "A folder stands where the file should be; move it away.",
    errno.ENAMETOOLONG: "Choose shorter names.",
    errno.ENOSPC: f"The disk is full. {_NOTHING_LOST}",
    errno.EDQUOT: f"The quota is used up. {_NOTHING_LOST}",
    errno.EFBIG: f"Files may not become so large here. Raise the limit (ulimit -f). {_AGAIN}",
    errno.EMFILE: f"Too few files may be open at once. Raise the limit (ulimit -n 1024). {_AGAIN}",
    errno.ENFILE: f"Too few files may be open at once on this machine; end other programs. {_AGAIN}",
    errno.ENOMEM: f"The memory is used up. Give the process more. {_AGAIN}",
    errno.EAGAIN: f"No further thread or process can be started: raise the limit of memory or of processes. {_AGAIN}",
    errno.EIO: f"The disk does not answer as it should. Look after it. {_AGAIN}",
    errno.ESTALE: f"The folder has been moved or unmounted. Bring it back. {_AGAIN}",
}
"""errno -> what to do."""

OF_THE_FILE_SYSTEM = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""Where one file cannot be written for such a reason, no other can: there is no use in going on."""

_IN_RUST = re.compile(r"os error (\d+)|code: (\d+), kind:")
_SHORT_WRITE = re.compile(r"\d+ requested and \d+ written")
_NO_MEMORY = re.compile(r"cannot allocate memory|failed to map segment|out of memory", re.IGNORECASE)


def refusal(error: BaseException) -> int | None:
    """The number (errno) of what the system refused, where an exception or its cause says so; None for all others."""
    for one in _causes(error):
        if isinstance(one, MemoryError):
            return errno.ENOMEM
        number = one.errno if isinstance(one, OSError) else None
        text = str(one)
        if number is None and (found := _IN_RUST.search(text)):
            number = int(found[1] or found[2])
        if number is None and isinstance(one, OSError) and _SHORT_WRITE.search(text):
            number = errno.ENOSPC  # numpy keeps no number; a limit of the file's size looks the same
        if number is None and isinstance(one, (ImportError, OSError, RuntimeError)) and _NO_MEMORY.search(text):
            number = errno.ENOMEM
        if number in REMEDIES:
            return number
    return None


def as_store_error(error: BaseException, what: str) -> StoreError | None:
    """The refusal as an error with a message; None where the exception means something else.

    Args:
        what: begins the message, such as `/data/study/lock.json cannot be written`.
    """
    number = refusal(error)
    if number is None or isinstance(error, CrossliftError):
        return None
    reason = error.strerror if isinstance(error, OSError) and error.strerror else errno_text(number)
    found = StoreError(f"{what}: {reason}. {REMEDIES[number]}")
    found.errno = number
    return found


def errno_text(number: int) -> str:
    """`No space left on device`."""
    return os.strerror(number)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__  # not the context: what was handled meanwhile is not why
