"""A bound on time and memory around code that somebody else wrote, such as the chat template of a model.

A template that loops for ever raises nothing, and a sandbox stops what it may touch but not how long it takes. The
clock is a signal, so it works in the main thread only and not on Windows; elsewhere the block runs without it.
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
    """The block took longer than its limit."""


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Stop the block after so many seconds.

    Raises:
        OutOfTime: it was stopped.
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
        if left:  # somebody else's clock goes on
            signal.setitimer(signal.ITIMER_REAL, left, interval)


@contextlib.contextmanager
def memory_limit(num_bytes: int) -> Iterator[None]:
    """Let the block take so many bytes of address space more than the process has; Linux only, elsewhere no limit.

    Raises:
        MemoryError: it asked for more.
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
