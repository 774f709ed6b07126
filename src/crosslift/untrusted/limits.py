"""Time and memory limits for untrusted code, such as the chat template of a model.

An endless loop in a template raises no exception, and a sandbox restricts access but not execution time. The time limit
uses a signal, so it applies in the main thread only and not on Windows; elsewhere the block runs without a limit.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]


class OutOfTime(Exception):
    """The block exceeded its time limit."""


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Context manager that interrupts its block after a time limit.

    Args:
        seconds: the limit.

    Raises:
        OutOfTime: the block was interrupted.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise OutOfTime

    handler = signal.signal(signal.SIGALRM, stop)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if left:  # restart the caller's timer
            signal.setitimer(signal.ITIMER_REAL, left, interval)


@contextlib.contextmanager
def memory_limit(num_bytes: int) -> Iterator[None]:
    """Context manager that limits the additional address space of its block; Linux only, elsewhere no limit applies.

    Args:
        num_bytes: limit in bytes beyond the current address space of the process.

    Raises:
        MemoryError: the block tried to allocate more.
    """
    statm = Path("/proc/self/statm")
    if resource is None or not statm.is_file():
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = int(statm.read_text().split()[0]) * resource.getpagesize() + num_bytes
    if soft != resource.RLIM_INFINITY:
        wanted = min(wanted, soft)
    resource.setrlimit(resource.RLIMIT_AS, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
