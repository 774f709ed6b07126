"""Leases: at most one process works in a folder, and a lease expires when its owner dies.

A lease prevents two processes from doing the same work. It is a small file whose modification time the owner updates
regularly (heartbeat). A single lock file that is deleted once it is old would have a race: between reading the old lock
and deleting it, another process may have acquired it, and the deletion would remove the new lock. Therefore a lease is
never deleted in order to acquire it: leases are numbered, the highest number is valid, and a process takes over lease n
by creating lease n + 1, which the file system allows exactly one process to do.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from crosslift.errors import LeaseHeld
from crosslift.system.files import make_folder, missing_root_error, remove_leftovers, temporary_of, write_json
from crosslift.system.processes import is_running, machine_id, process_start_ticks
from crosslift.system.refusals import as_store_error
from crosslift.system.threads import BackgroundThread

HEARTBEAT_SECONDS = 5.0

WATCHED_HEARTBEATS = 2.5
"""Number of heartbeat intervals for which an apparently expired lease is observed before it is taken over."""

EXPIRY_SECONDS = 60.0
"""Time in seconds without a heartbeat after which a lease expires. Twelve heartbeat intervals, so that a loaded machine
or a slow network disk does not cause a false expiry. The death of an owner on the same machine is detected at once."""


@dataclass(frozen=True, kw_only=True)
class LeaseOwner:
    """Content of a lease file."""

    token: str
    machine_id: str
    """Hash that identifies the machine without revealing the host name."""
    pid: int
    started: str
    """Start time of the process in clock ticks, because process ids are reused."""
    session: str
    """Session that launched the owner; deaths are counted per session. Empty: no session, deaths are not counted."""
    deaths: int
    """Number of previous owners of the same session that died without releasing the lease."""
    released: bool = False


class Lease:
    """Exclusive lease on a folder; a context manager.

        with Lease(folder, session="...") as lease:
            ...

    Args:
        folder: the folder; created if missing.
        session: session that launched this process; deaths of owners are counted per session.
        stale_seconds: time in seconds without a heartbeat after which the lease expires.
    """

    def __init__(self, folder: Path, *, session: str = "", stale_seconds: float = EXPIRY_SECONDS) -> None:
        self.folder = folder
        self.session = session
        self.stale_seconds = stale_seconds
        self.deaths = 0
        self._number = -1
        self._owner: LeaseOwner | None = None
        self._stop = threading.Event()
        self._heart: BackgroundThread | None = None

    def acquire(self) -> None:
        """Acquire the lease and remove the temporary files of killed processes from the folder.

        Raises:
            LeaseHeld: another process holds it.
            StoreError: the folder cannot be written.
            RuntimeError: the system starts no further thread.
        """
        try:
            self._acquire()
        except OSError as error:
            if isinstance(error, FileNotFoundError) and (gone := missing_root_error(self.folder)) is not None:
                raise gone from error
            if (found := as_store_error(error, f"{self.folder} cannot be leased")) is None:
                raise
            raise found from error

    def _acquire(self) -> None:
        make_folder(self.folder)
        number, previous = _highest(self.folder)
        if previous is not None and not previous.released and self._is_held(number, previous):
            raise LeaseHeld(f"{self.folder.name} is leased by another process. Wait until it finishes, or stop it.")
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
        # If this process listed the folder before an older lease was removed, its number may not be the highest.
        if _highest(self.folder)[0] != self._number:
            self._path.unlink(missing_ok=True)
            raise LeaseHeld(f"{self.folder.name} has just been leased by another process.")
        for lower in _numbers(self.folder):
            if lower < self._number:
                _path(self.folder, lower).unlink(missing_ok=True)
        remove_leftovers(self.folder)
        self._stop.clear()
        heart = BackgroundThread(self._beat)
        try:
            heart.start()
        except RuntimeError:  # too little memory for a thread
            self.release()
            raise
        self._heart = heart

    def check(self) -> None:
        """Verify that this process still holds the lease.

        Raises:
            LeaseHeld: the lease was lost, for example because the machine was suspended for longer than its lifetime.
            StoreError: the folder of the study no longer exists.
        """
        if (gone := missing_root_error(self.folder)) is not None:
            raise gone
        if self._owner is None or _highest(self.folder)[0] != self._number:
            raise LeaseHeld(f"{self.folder.name} was taken over by another process while this one did not respond.")

    def release(self, *, finished: bool = False) -> None:
        """Release the lease; does nothing if it was lost.

        Args:
            finished: remove the lease file, because the work is done. Numbering then restarts at 0, so a process must
                check after acquiring a lease whether there is work to do.
        """
        self._stop.set()
        if self._heart is not None:
            self._heart.join()
            self._heart = None
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
        """Return whether the owner is alive. An apparently expired lease is observed for some heartbeat intervals,
        because a clock change may make a valid lease look old."""
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
            with contextlib.suppress(OSError):  # lease lost or disk unavailable; `check` raises the error
                os.utime(self._path)


def lease_holder(folder: Path, *, stale_seconds: float = EXPIRY_SECONDS, read_only: bool = False) -> LeaseOwner | None:
    """Return the current owner of the lease on a folder.

    Args:
        folder: the folder.
        stale_seconds: time in seconds without a heartbeat after which a lease expires.
        read_only: judge the heartbeat by the clock of this machine, instead of by the time of a temporary file in the
            folder.

    Returns:
        The owner; None if the folder is not leased.
    """
    number, owner = _highest(folder)
    if owner is None or owner.released or not _alive(folder, number, owner, stale_seconds, read_only=read_only):
        return None
    return owner


def wait_for_silent_owners(folders: Collection[Path], *, check: Callable[[], None] = lambda: None) -> bool:
    """Wait for the leases of owners that give no sign of life, such as those of a machine that has failed.

    Leases are observed for some heartbeat intervals. Those of living owners are not waited for.

    Args:
        folders: leased folders.
        check: called about once a second; may raise.

    Returns:
        Whether a lease was silent and is now free, expired, or renewed again; False if all owners are alive.
    """
    before = {folder: _heartbeat_of(folder) for folder in folders}
    for _ in range(math.ceil(WATCHED_HEARTBEATS * HEARTBEAT_SECONDS)):
        check()
        time.sleep(1.0)
    silent = [folder for folder, beat in before.items() if _heartbeat_of(folder) == beat]
    while silent:
        if any(lease_holder(folder) is None or _heartbeat_of(folder) != before[folder] for folder in silent):
            return True
        check()
        time.sleep(1.0)
    return False


def _heartbeat_of(folder: Path) -> tuple[int, float | None]:
    number = max(_numbers(folder), default=-1)
    return number, _touched(folder, number)


@contextlib.contextmanager
def waiting_lease(folder: Path, *, poll_seconds: float = 0.2) -> Iterator[Lease]:
    """Context manager that waits until the lease is available and holds it; for short work that each process needs.

    Args:
        folder: the folder.
        poll_seconds: interval in seconds between attempts.

    Yields:
        The lease.
    """
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
                # Damaged, or incomplete on a file system without hard links: valid until it expires.
                return number, LeaseOwner(token="", machine_id="", pid=0, started="", session="", deaths=0)
    return -1, None


def _owner(text: bytes) -> LeaseOwner:
    """Parse a lease file; raises `ValueError` or `TypeError` if it is invalid."""
    owner = LeaseOwner(**json.loads(text))
    numbers, words = (owner.pid, owner.deaths), (owner.token, owner.machine_id, owner.started, owner.session)
    if not all(isinstance(one, int) for one in numbers) or not all(isinstance(one, str) for one in words):
        raise TypeError("not a lease")
    return owner


def _alive(folder: Path, number: int, owner: LeaseOwner, stale_seconds: float, *, read_only: bool = False) -> bool:
    if owner.machine_id == machine_id() and not is_running(owner.pid, owner.started):
        return False
    touched = _touched(folder, number)
    # A time in the future is as implausible as one long past: it results from a clock change.
    now = time.time() if read_only else _now(folder)
    return touched is not None and abs(now - touched) < stale_seconds


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
    except OSError:  # read-only folder
        return time.time()
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()


def _create(path: Path, owner: LeaseOwner) -> bool:
    """Create a lease file atomically with a hard link. Returns False if the file exists."""
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
