"""Ends processes of a library when the process that uses them dies, however it was killed.

Libraries that start processes end them when Python ends in an orderly way. After SIGKILL, as by the system when memory
runs out, they stay, and keep the memory of a GPU from whoever takes the work over. A guard is a small process of its
own: it reads from a pipe that the system closes when the guarded process dies, and then kills what it was told to.

    python -m crosslift.system.guard PID:TICKS ...
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

from crosslift.system.processes import is_running, process_start_ticks

RELEASED = b"released"


def descendants() -> set[int]:
    """Return the processes that this process and its children have started; none where the system does not tell."""
    parents: dict[int, int] = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            parents[int(file.parent.name)] = int(file.read_text(errors="replace").rpartition(")")[2].split()[1])
    found: set[int] = set()
    added = {os.getpid()}
    while added:
        added = {pid for pid, parent in parents.items() if parent in added} - found
        found |= added
    return found


def end_with_this_process(pids: Collection[int]) -> subprocess.Popen[bytes] | None:
    """Start a guard that kills processes when this process dies.

    Args:
        pids: the processes.

    Returns:
        The guard, for `release`; None if there is no process.
    """
    told = [f"{pid}:{ticks}" for pid in sorted(pids) if (ticks := process_start_ticks(pid))]
    if not told:
        return None
    return subprocess.Popen(  # noqa: S603 - our own command line
        [sys.executable, "-m", "crosslift.system.guard", *told],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # a signal to the group of the worker does not end the guard first
    )


def release(guard: subprocess.Popen[bytes] | None) -> None:
    """End a guard, after the processes were ended in an orderly way."""
    if guard is not None and guard.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            guard.stdin.write(RELEASED)
            guard.stdin.close()
        guard.wait()


def main(told: list[str]) -> None:
    """Wait for the end of the process that started this one, then kill what is left of the processes that it named."""
    if sys.stdin.buffer.read() == RELEASED:
        return
    for one in told:
        pid, _, ticks = one.partition(":")
        if is_running(int(pid), ticks):  # and is not another one with the same number
            with contextlib.suppress(OSError):
                os.kill(int(pid), signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
