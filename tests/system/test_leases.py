"""Files are whole or absent; a lease has one owner."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from crosslift.errors import LeaseHeld, StoreError
from crosslift.system.files import atomic_write, read_json, remove_leftovers, temporary_of, write_json
from crosslift.system.leases import Lease, lease_holder

HOLD = """
import sys, time
from pathlib import Path
from crosslift.system.leases import Lease
Lease(Path(sys.argv[1]), session=sys.argv[2]).acquire()
print("held", flush=True)
time.sleep(60)
"""


def hold(folder, session=""):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder), session], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    return process


def names(folder):
    return [path.name for path in folder.iterdir()]


def test_a_file_that_fails_halfway_leaves_the_old_one(tmp_path):
    write_json(tmp_path / "a.json", 1)
    with pytest.raises(RuntimeError), atomic_write(tmp_path / "a.json") as temporary:
        temporary.write_text("2")
        raise RuntimeError
    assert read_json(tmp_path / "a.json") == 1
    assert names(tmp_path) == ["a.json"]


def test_what_a_killed_writer_left_is_swept(tmp_path):
    code = (
        "import sys; from pathlib import Path; from crosslift.system.files import temporary_of;"
        "print(temporary_of(Path(sys.argv[1])))"
    )
    left = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "a.json"], capture_output=True, text=True
    ).stdout.strip()
    Path(left).touch()
    mine = temporary_of(tmp_path / "a.json")
    elsewhere = tmp_path / ".a.json.0123456789ab-1-1.01234567.tmp"
    for file in (mine, elsewhere, tmp_path / "a.json"):
        file.touch()
    remove_leftovers(tmp_path)
    assert sorted(names(tmp_path)) == sorted([mine.name, elsewhere.name, "a.json"])
    os.utime(elsewhere, (0, 0))
    remove_leftovers(tmp_path)
    assert sorted(names(tmp_path)) == sorted([mine.name, "a.json"])


def test_damaged_json_is_named(tmp_path):
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(StoreError, match=r"a\.json is not JSON"):
        read_json(tmp_path / "a.json")
    assert read_json(tmp_path / "none.json") is None


def test_a_lease_has_one_owner(tmp_path):
    with Lease(tmp_path):
        assert lease_holder(tmp_path).pid == os.getpid()
        with pytest.raises(LeaseHeld):
            Lease(tmp_path).acquire()
    assert lease_holder(tmp_path) is None
    with Lease(tmp_path):
        assert len(list(tmp_path.glob("lease.*"))) == 1


def test_a_finished_lease_leaves_nothing_behind(tmp_path):
    lease = Lease(tmp_path)
    lease.acquire()
    lease.release(finished=True)
    assert names(tmp_path) == []


def test_the_lease_of_a_dead_process_is_free_at_once_and_its_death_is_counted(tmp_path):
    process = hold(tmp_path, "session")
    with pytest.raises(LeaseHeld):
        Lease(tmp_path, session="session").acquire()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert lease_holder(tmp_path) is None
    for session, deaths in (("session", 1), ("session", 1), ("another", 0), ("", 0)):
        lease = Lease(tmp_path, session=session)
        lease.acquire()
        assert lease.deaths == deaths
        lease.release()


def test_without_a_session_no_deaths_are_counted(tmp_path):
    process = hold(tmp_path)
    process.kill()
    process.wait()
    lease = Lease(tmp_path)
    lease.acquire()
    assert lease.deaths == 0


def test_a_silent_lease_of_another_machine_is_taken_over_after_a_while_and_the_old_owner_learns_it(tmp_path):
    old = Lease(tmp_path, stale_seconds=1e9)  # does not beat meanwhile
    old.acquire()
    file = next(tmp_path.glob("lease.*.json"))
    file.write_text(json.dumps(json.loads(file.read_text()) | {"machine_id": "elsewhere"}))
    with pytest.raises(LeaseHeld):
        Lease(tmp_path).acquire()
    os.utime(file, (time.time() - 1000, time.time() - 1000))
    with Lease(tmp_path, stale_seconds=1.0) as new:
        new.check()
        with pytest.raises(LeaseHeld, match="taken over"):
            old.check()
        old.release()
        new.check()


def test_a_lease_beats(tmp_path):
    lease = Lease(tmp_path, stale_seconds=0.2)
    lease.acquire()
    file = next(tmp_path.glob("lease.*.json"))
    os.utime(file, (0, 0))
    time.sleep(0.2)
    assert file.stat().st_mtime > 0
    lease.release()


@pytest.mark.parametrize("dead", [False, True])
def test_of_many_that_want_a_lease_exactly_one_gets_it(tmp_path, dead):
    for round_ in range(20):
        folder = tmp_path / str(round_)
        if dead:
            lease = Lease(folder)
            lease.acquire()
            file = next(folder.glob("lease.*.json"))
            file.write_text(json.dumps(json.loads(file.read_text()) | {"pid": 2**22 + 1}))
        barrier, owners = threading.Barrier(8), []

        def want(folder=folder, barrier=barrier, owners=owners):
            lease = Lease(folder)
            barrier.wait()
            try:
                lease.acquire()
            except LeaseHeld:
                return
            owners.append(lease)

        threads = [threading.Thread(target=want) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(owners) == 1
        owners[0].release()
