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
import json
import os
import re
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from crosslift.errors import LeaseHeld
from crosslift.system.files import make_folder, missing_root_error, remove_leftovers, temporary_of, write_json
from crosslift.system.processes import is_running, machine_id, process_start_ticks
from crosslift.system.refusals import as_store_error

HEARTBEAT_SECONDS = 5.0

WATCHED_HEARTBEATS = 2.5
"""For so long an owner that seems to be dead is watched before its lease is taken."""

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
        """Take the lease, and remove what killed processes left in the folder.

        Raises:
            LeaseHeld: somebody else holds it.
            StoreError: the folder cannot be written.
        """
        try:
            self._acquire()
        except OSError as error:
            if isinstance(error, FileNotFoundError) and (gone := missing_root_error(self.folder)) is not None:
                raise gone from error
            if (found := as_store_error(error, f"{self.folder} cannot be worked in")) is None:
                raise
            raise found from error

    def _acquire(self) -> None:
        make_folder(self.folder)
        number, previous = _highest(self.folder)
        if previous is not None and not previous.released and self._is_held(number, previous):
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
        remove_leftovers(self.folder)
        self._stop.clear()
        self._heart = threading.Thread(target=self._beat, name="lease", daemon=True)
        self._heart.start()

    def check(self) -> None:
        """Is the lease still ours?

        Raises:
            LeaseHeld: it was lost, e.g. because the machine slept for longer than leases live.
            StoreError: the whole folder is gone.
        """
        if (gone := missing_root_error(self.folder)) is not None:
            raise gone
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

    def _is_held(self, number: int, owner: LeaseOwner) -> bool:
        """A lease may look old only because a clock was set: its owner is watched for some heartbeats."""
        if _alive(self.folder, number, owner, self.stale_seconds):
            return True
        if owner.machine_id == machine_id() and not is_running(owner.pid, owner.started):
            return False
        before = _touched(self.folder, number)
        time.sleep(WATCHED_HEARTBEATS * self._heartbeat)
        return _touched(self.folder, number) != before

    @property
    def _heartbeat(self) -> float:
        return min(HEARTBEAT_SECONDS, self.stale_seconds / 4)

    @property
    def _path(self) -> Path:
        return _path(self.folder, self._number)

    def _beat(self) -> None:
        while not self._stop.wait(self._heartbeat):
            with contextlib.suppress(OSError):  # lost, or the disk is away; `check` tells the owner
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
    if owner.machine_id == machine_id() and not is_running(owner.pid, owner.started):
        return False
    touched = _touched(folder, number)
    # A time in the future is as strange as one long past: then a clock was set.
    return touched is not None and abs(_now(folder) - touched) < stale_seconds


def _touched(folder: Path, number: int) -> float | None:
    try:
        return _path(folder, number).stat().st_mtime
    except FileNotFoundError:
        return None


def _now(folder: Path) -> float:
    """The time by the clock that stamps the leases, which on a network disk is not this machine's."""
    probe = temporary_of(folder / "clock")
    try:
        descriptor = os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        try:
            return os.fstat(descriptor).st_mtime
        finally:
            os.close(descriptor)
    except OSError:  # a folder that may only be read
        return time.time()
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()


def _create(path: Path, owner: LeaseOwner) -> bool:
    """Create the file with its content, unless it exists. A link appears with its content or not at all."""
    text = json.dumps(asdict(owner)) + "\n"
    temporary = temporary_of(path)
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
