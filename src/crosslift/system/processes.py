"""Identification of processes across crashes, reused process ids, and machines that share a disk."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import signal
import socket
from functools import cache
from pathlib import Path

PR_SET_PDEATHSIG = 1
"""Constant of Linux's prctl: the signal that a process gets when its parent dies."""


@cache
def machine_id() -> str:
    """Return a hash of host, boot and process namespace; process ids are comparable only if it is equal."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
    with contextlib.suppress(OSError):
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:12]


def process_start_ticks(pid: int) -> str:
    """Return the start time of a process.

    Args:
        pid: the process id.

    Returns:
        Clock ticks since boot; "" if the system does not provide it, or the process does not exist.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()  # the command name, in parentheses, may contain any character
    return "" if fields[0] == "Z" else fields[19]


def is_running(pid: int, started: str) -> bool:
    """Return whether a process is alive on this machine.

    Args:
        pid: the process id.
        started: `process_start_ticks` of the process; "" if unknown.
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


def end_with_parent(parent: int) -> None:
    """Ask the system to send this process SIGTERM when its parent dies, where the system can (Linux).

    Args:
        parent: process id of the parent; if it is dead already, this process ends.

    Raises:
        SystemExit: the parent has died.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent:
        raise SystemExit(128 + signal.SIGTERM)
