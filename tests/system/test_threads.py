"""Threads that cannot run are reported; nobody waits for them."""

from __future__ import annotations

import _thread
import errno
import os
import subprocess
import sys
import threading

import pytest

from crosslift.system import threads
from crosslift.system.leases import Lease, lease_holder
from crosslift.system.refusals import refusal
from crosslift.system.threads import BackgroundThread

LITTLE_MEMORY = """
import resource, sys
from crosslift.system import threads
threads.START_SECONDS = 0.5
thread = threads.BackgroundThread(lambda: None)
has = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
stack = resource.getrlimit(resource.RLIMIT_STACK)[0]
limit = has + (8 << 20 if stack == resource.RLIM_INFINITY else stack) + int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    thread.start()
except (RuntimeError, MemoryError) as error:
    print(error)
"""


@pytest.fixture
def dying(monkeypatch):
    """Threads end before they run Python, as they do when their first allocation fails."""
    monkeypatch.setattr(threads, "START_SECONDS", 0.5)
    monkeypatch.setattr(_thread, "start_new_thread", lambda function, arguments: 0)


def test_a_thread_that_dies_before_it_runs_is_an_error(dying):
    with pytest.raises(RuntimeError, match="can't start new thread") as caught:
        BackgroundThread(lambda: None).start()
    assert refusal(caught.value) == errno.EAGAIN


def test_a_lease_without_a_heartbeat_is_released(tmp_path, dying):
    lease = Lease(tmp_path, session="s")
    with pytest.raises(RuntimeError, match="can't start new thread"):
        lease.acquire()
    assert lease_holder(tmp_path) is None
    with pytest.raises(RuntimeError):
        lease.acquire()
    assert lease.deaths == 0


def test_a_thread_that_is_given_up_does_nothing_later(monkeypatch):
    started, called = [], []
    monkeypatch.setattr(threads, "START_SECONDS", 0.5)
    monkeypatch.setattr(_thread, "start_new_thread", lambda function, arguments: started.append(function))
    with pytest.raises(RuntimeError):
        BackgroundThread(lambda: called.append(1)).start()
    started[0]()
    assert not called


def test_join_waits_for_the_end_of_the_target():
    gate, done = threading.Event(), []
    thread = BackgroundThread(lambda: (gate.wait(10), done.append(1)))
    thread.start()
    gate.set()
    thread.join()
    thread.join()
    assert done == [1]


@pytest.mark.skipif(sys.platform != "linux", reason="reads the size of a process from /proc")
@pytest.mark.parametrize("more", [4096, 12288, 20480])
def test_a_start_with_memory_for_little_more_than_a_stack_ends(more):
    subprocess.run(
        [sys.executable, "-c", LITTLE_MEMORY, str(more)], timeout=60, check=True, capture_output=True, env=os.environ
    )
