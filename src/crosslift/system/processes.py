"""Which process is which: on one machine and over several that share a disk, after a crash and after process ids have
been used again."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
from functools import cache
from pathlib import Path


@cache
def machine_id() -> str:
    """A hash that is equal exactly where process ids may be compared: same host, same boot, same process namespace."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
    with contextlib.suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:12]


def process_start_ticks(pid: int) -> str:
    """Start of a process in clock ticks since boot; "" where the system does not tell or there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()  # the command's name, in brackets, may hold anything
    return "" if fields[0] == "Z" else fields[19]


def is_running(pid: int, started: str) -> bool:
    """Is the process alive on this machine?

    Args:
        started: its `process_start_ticks`; "" where the system did not tell.
    """
    if started:
        return process_start_ticks(pid) == started
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
