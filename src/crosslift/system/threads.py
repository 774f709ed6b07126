"""Threads whose start either succeeds or raises an error.

`threading.Thread.start` waits without limit for a signal of the new thread. A thread that has too little memory ends
before it can give it, and the caller waits forever (https://github.com/python/cpython/issues/140746).
"""

from __future__ import annotations

import _thread
from collections.abc import Callable

START_SECONDS = 30.0
"""Time in seconds after which a thread that does not run is given up."""
_INTERVAL = 0.5
"""The time is counted in intervals in seconds, so that a suspended process gives up no thread when it wakes."""


class BackgroundThread:
    """A thread that does not keep the process from ending.

    Args:
        target: what it calls. An exception ends the thread and is printed.
    """

    def __init__(self, target: Callable[[], None]) -> None:
        self._target = target
        self._given_up = False
        # Locks, because releasing one needs no memory.
        self._begun, self._ended = _thread.allocate_lock(), _thread.allocate_lock()

    def start(self) -> None:
        """Start the thread and wait until it runs; once per object.

        Raises:
            RuntimeError: it does not run.
        """
        self._begun.acquire()
        self._ended.acquire()
        _thread.start_new_thread(self._run, ())
        for _ in range(round(START_SECONDS / _INTERVAL)):
            if self._begun.acquire(timeout=_INTERVAL):
                return
        self._given_up = True
        raise RuntimeError("can't start new thread: it ended before it ran, as it does with too little memory")

    def join(self) -> None:
        """Wait until the thread has ended."""
        with self._ended:
            pass

    def _run(self) -> None:
        self._begun.release()
        try:
            if not self._given_up:
                self._target()
        finally:
            self._ended.release()
