"""Processes end with the process that guards them, however it was killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from crosslift.system.guard import descendants, end_with_this_process, release
from crosslift.system.processes import is_running, process_start_ticks

CODE = """
import subprocess, sys, time
from crosslift.system.guard import descendants, end_with_this_process
child = subprocess.Popen(["sleep", "60"], start_new_session=True)
assert descendants() == {child.pid}
end_with_this_process([child.pid])
print(child.pid, flush=True)
time.sleep(60)
"""

pytestmark = pytest.mark.skipif(not process_start_ticks(1), reason="needs /proc")


def test_a_guarded_process_ends_when_its_user_is_killed():
    user = subprocess.Popen([sys.executable, "-c", CODE], stdout=subprocess.PIPE, text=True)
    assert user.stdout is not None
    pid = int(user.stdout.readline())
    ticks = process_start_ticks(pid)
    assert is_running(pid, ticks)
    user.send_signal(signal.SIGKILL)
    user.wait()
    end = time.monotonic() + 30
    while is_running(pid, ticks):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_released_guard_kills_nothing():
    other = subprocess.Popen(["sleep", "60"])
    assert other.pid in descendants()
    release(end_with_this_process([other.pid]))
    assert other.poll() is None
    other.kill()
    other.wait()
    assert end_with_this_process([other.pid]) is None
    release(None)
