"""A worker that lost its lease, or its disk, ends its run without harm to who goes on with it."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time

import pytest
from fake_study import FAKES

from crosslift.errors import StoreError
from crosslift.execution.phases.prepare import prepare
from crosslift.execution.workers import run_execution
from crosslift.execution.workers.worker import work
from crosslift.studies.parsing.load import load
from crosslift.system.leases import Lease, lease_holder


def take_over(folder):
    """As another host does that has seen no sign of life."""
    file = max(folder.glob("lease.*.json"))
    number = int(file.name.split(".")[1])
    record = json.loads(file.read_text()) | {"token": "other", "machine_id": "elsewhere"}
    (folder / f"lease.{number + 1}.json").write_text(json.dumps(record))
    file.unlink()


@pytest.mark.parametrize("fails_first", [False, True])
def test_a_run_that_was_taken_over_has_no_error(study, monkeypatch, caplog, fails_first):
    folder = study / "runs" / "tiny.en.s0"

    def stopped_meanwhile(graph, steps, *, check, **_):
        take_over(folder)
        if fails_first:
            raise FileNotFoundError(errno.ENOENT, "what the other worker has removed")
        check()

    monkeypatch.setattr(run_execution, "train", stopped_meanwhile)
    assert work(load(study), ["tiny.en.s0"])
    assert not (folder / "error.json").exists()
    assert lease_holder(folder).token == "other"
    assert "was taken over by another worker" in caplog.text


def test_a_full_disk_stops_the_worker_and_is_no_error_of_the_run(study, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(run_execution, "evaluate", full)
    with pytest.raises(StoreError, match="disk is full"):
        work(load(study))
    assert not list(study.glob("runs/*/error.json"))
    assert lease_holder(study / "runs" / "tiny.base") is None


@pytest.mark.slow
def test_a_finished_run_gives_back_the_lease_of_a_worker_that_was_killed_after_it(study):
    environment = os.environ | {"PYTHONPATH": str(FAKES)}
    command = [sys.executable, "-m", "crosslift", "run", str(study)]
    assert subprocess.run(command, env=environment, capture_output=True).returncode == 0
    folder = study / "runs" / "tiny.base"
    before = json.loads((folder / "provenance.json").read_text())
    (folder / "provenance.json").unlink()
    code = "import sys; from pathlib import Path; from crosslift.system.leases import Lease; "
    code += "Lease(Path(sys.argv[1])).acquire()"
    subprocess.run([sys.executable, "-c", f"{code}; import os; os._exit(9)", str(folder)], env=environment)
    assert list(folder.glob("lease.*"))
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert "Nothing to do" in ended.stdout
    assert not list(folder.glob("lease.*"))
    assert json.loads((folder / "provenance.json").read_text())["evaluate"] == before["evaluate"]


@pytest.mark.slow
def test_a_worker_that_is_killed_after_a_run_leaves_no_lease_when_the_start_ends(study):
    (study / "faults.json").write_text(json.dumps({"tiny.en.s0": "die after"}))
    environment = os.environ | {"PYTHONPATH": str(FAKES)}
    command = [sys.executable, "-m", "crosslift", "run", str(study), "--workers", "1"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert "5 of 5 runs are done" in ended.stdout
    assert not list(study.glob("runs/*/lease.*"))


def test_leaks_that_a_kill_left_unwritten_are_made_when_preparing_goes_on(study, graph_of):
    written = {file: file.read_bytes() for file in study.glob("corpora/*/leaks.parquet")}
    assert written
    for file in written:
        file.unlink()
    (study / "lock.json").unlink()
    prepare(graph_of(study), say=lambda line: None)
    assert {file: file.read_bytes() for file in study.glob("corpora/*/leaks.parquet")} == written


@pytest.mark.parametrize("jump", [-100_000.0, 100_000.0])
def test_a_clock_that_was_set_takes_no_lease_from_a_process_that_lives(tmp_path, jump):
    with Lease(tmp_path, stale_seconds=0.8) as owner:
        file = next(tmp_path.glob("lease.*.json"))
        os.utime(file, (time.time() + jump,) * 2)
        with pytest.raises(Exception, match="is leased by another process"):
            Lease(tmp_path, stale_seconds=0.8).acquire()
        owner.check()


def test_a_lease_from_the_future_of_a_host_that_died_is_taken(tmp_path):
    Lease(tmp_path, stale_seconds=1e9).acquire()
    file = next(tmp_path.glob("lease.*.json"))
    file.write_text(json.dumps(json.loads(file.read_text()) | {"machine_id": "elsewhere"}))
    os.utime(file, (time.time() + 1e6,) * 2)
    with Lease(tmp_path, stale_seconds=0.4) as lease:
        lease.check()
