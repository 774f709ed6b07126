"""Leases: at most one process works in a folder, and a lease ends with its owner.

Two programs that were started by mistake must not do the same work. A lease is a small file that its owner touches
while it lives. Why not one lock file that a newcomer deletes when it is old? Between reading an old lock and deleting
it, another process may have taken it over, and the newcomer would delete the fresh one. Here a lease is never deleted
to be taken: leases are numbered, the highest number is valid, and taking over number n is the creation of number n + 1,
which the file system grants to exactly one process.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from crosslift.errors import LeaseHeld
from crosslift.files import write_json

HEARTBEAT_SECONDS = 5.0


EXPIRY_SECONDS = 60.0
"""A lease untouched for so long belongs to nobody. Twelve heartbeats: a loaded machine or a slow network disk must not
look dead. An owner that died on this machine is noticed at once, whatever this number."""


@dataclass(frozen=True, kw_only=True)
class LeaseOwner:
    """What a lease file says."""

    token: str
    machine_id: str
    """A hash, so that no host name is written."""
    pid: int
    started: str
    """When the process started, in the system's own ticks: a process id alone may be used again."""
    session: str
    """Who launched the owner; deaths are counted within one session. Empty: nobody, and none are counted."""
    deaths: int
    """Owners before this one that died in the same session without releasing the lease."""
    released: bool = False


class Lease:
    """A right to work in a folder, held by at most one process.

        with Lease(folder, session="...") as lease:
            ...

    Raises:
        LeaseHeld: on entering, when somebody else holds it; on `check`, when it was lost.
    """

    def __init__(self, folder: Path, *, session: str = "", stale_seconds: float = EXPIRY_SECONDS) -> None:
        self.folder = folder
        self.session = session
        self.stale_seconds = stale_seconds
        self.deaths = 0
        self._number = -1
        self._owner: LeaseOwner | None = None
        self._stop = threading.Event()
        self._heart: threading.Thread | None = None

    def acquire(self) -> None:
        """Raises `LeaseHeld` when somebody else holds the lease."""
        self.folder.mkdir(parents=True, exist_ok=True)
        number, previous = _highest(self.folder)
        if previous is not None and not previous.released and _alive(self.folder, number, previous, self.stale_seconds):
            raise LeaseHeld(f"{self.folder.name} is being worked on by another process. Let it finish, or end it.")
        same = previous is not None and self.session != "" and previous.session == self.session
        self.deaths = previous.deaths + int(not previous.released) if same and previous is not None else 0
        self._owner = LeaseOwner(
            token=secrets.token_hex(8),
            machine_id=machine_id(),
            pid=os.getpid(),
            started=process_start_ticks(os.getpid()),
            session=self.session,
            deaths=self.deaths,
        )
        self._number = number + 1
        if not _create(self._path, self._owner):
            raise LeaseHeld(f"{self.folder.name} has just been leased by another process.")
        # Who read the folder before an older lease was tidied away may have created a number below the highest.
        if _highest(self.folder)[0] != self._number:
            self._path.unlink(missing_ok=True)
            raise LeaseHeld(f"{self.folder.name} has just been leased by another process.")
        for lower in _numbers(self.folder):
            if lower < self._number:
                _path(self.folder, lower).unlink(missing_ok=True)
        self._stop.clear()
        self._heart = threading.Thread(target=self._beat, name="lease", daemon=True)
        self._heart.start()

    def check(self) -> None:
        """Raise `LeaseHeld` if the lease was lost, e.g. because the machine slept for longer than leases live."""
        if self._owner is None or _highest(self.folder)[0] != self._number:
            raise LeaseHeld(f"{self.folder.name} was taken over by another process while this one did not respond.")

    def release(self, *, finished: bool = False) -> None:
        """Give the lease back. `finished`: the work is done, so the file goes as well. Numbers then begin anew, so
        whoever acquires a lease looks whether there is still something to do."""
        self._stop.set()
        if self._heart is not None:
            self._heart.join()
        if self._owner is None or _highest(self.folder)[0] != self._number:
            return
        if finished:
            self._path.unlink(missing_ok=True)
        else:
            write_json(self._path, asdict(self._owner) | {"released": True}, durable=False)
        self._owner = None

    def __enter__(self) -> Lease:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    @property
    def _path(self) -> Path:
        return _path(self.folder, self._number)

    def _beat(self) -> None:
        while not self._stop.wait(min(HEARTBEAT_SECONDS, self.stale_seconds / 4)):
            with contextlib.suppress(FileNotFoundError):  # lost; `check` tells the owner
                os.utime(self._path)


def lease_holder(folder: Path, *, stale_seconds: float = EXPIRY_SECONDS) -> LeaseOwner | None:
    """Who works in the folder now; None when nobody does."""
    number, owner = _highest(folder)
    if owner is None or owner.released or not _alive(folder, number, owner, stale_seconds):
        return None
    return owner


@contextlib.contextmanager
def waiting_lease(folder: Path, *, poll_seconds: float = 0.2) -> Iterator[Lease]:
    """Hold the lease, after waiting for whoever holds it now. For short work that every starter needs done."""
    lease = Lease(folder)
    while True:
        try:
            lease.acquire()
            break
        except LeaseHeld:
            time.sleep(poll_seconds)
    try:
        yield lease
    finally:
        lease.release(finished=True)


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


_NAME = re.compile(r"lease\.(\d+)\.json")


def _path(folder: Path, number: int) -> Path:
    return folder / f"lease.{number}.json"


def _numbers(folder: Path) -> list[int]:
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries]
    except FileNotFoundError:
        return []
    return sorted(int(match[1]) for match in map(_NAME.fullmatch, names) if match)


def _highest(folder: Path) -> tuple[int, LeaseOwner | None]:
    for number in reversed(_numbers(folder)):
        with contextlib.suppress(FileNotFoundError):
            try:
                return number, _owner(_path(folder, number).read_bytes())
            except (ValueError, TypeError, IsADirectoryError):
                # Half-written, on a file system without hard links, or damaged: alive until it is old.
                return number, LeaseOwner(token="", machine_id="", pid=0, started="", session="", deaths=0)
    return -1, None


def _owner(text: bytes) -> LeaseOwner:
    """Raises `ValueError` or `TypeError` where the text is no lease."""
    owner = LeaseOwner(**json.loads(text))
    numbers, words = (owner.pid, owner.deaths), (owner.token, owner.machine_id, owner.started, owner.session)
    if not all(isinstance(one, int) for one in numbers) or not all(isinstance(one, str) for one in words):
        raise TypeError("no lease")
    return owner


def _alive(folder: Path, number: int, owner: LeaseOwner, stale_seconds: float) -> bool:
    if owner.machine_id == machine_id() and not _running(owner):
        return False
    try:
        touched = _path(folder, number).stat().st_mtime
    except FileNotFoundError:
        return False
    return _now(folder) - touched < stale_seconds


def _running(owner: LeaseOwner) -> bool:
    if owner.started:
        return process_start_ticks(owner.pid) == owner.started
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _now(folder: Path) -> float:
    """The time by the clock that stamps the leases, which on a network disk is not this machine's."""
    probe = folder / f".clock.{secrets.token_hex(4)}.tmp"
    try:
        probe.touch()
        return probe.stat().st_mtime
    except OSError:  # a folder that may only be read
        return time.time()
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()


def _create(path: Path, owner: LeaseOwner) -> bool:
    """Create the file with its content, unless it exists. A link appears with its content or not at all."""
    text = json.dumps(asdict(owner)) + "\n"
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            return False
    finally:
        temporary.unlink(missing_ok=True)
    return True
