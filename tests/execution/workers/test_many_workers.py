"""Workers on several machines that share a folder, with and without a scheduler."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from fake_study import FAKES

from crosslift.errors import UnknownName
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.inspection.finished import noted, remove_notes
from crosslift.execution.workers import job as job_module
from crosslift.execution.workers import worker as worker_module
from crosslift.execution.workers.worker import work
from crosslift.studies.parsing.load import load
from crosslift.system import leases
from crosslift.system.leases import Lease, wait_for_silent_owners
from crosslift.system.mounts import file_system, is_local

MACHINE = """
import sys
from pathlib import Path
from crosslift.system import leases, processes
for module in (leases, processes):
    module.machine_id = lambda: sys.argv[2]
from crosslift.execution.workers.worker import work
from crosslift.studies.parsing.load import load
assert work(load(Path(sys.argv[1])))
"""


def test_machines_that_share_a_folder_divide_a_study(study, graph_of, scores):
    (study / "faults.json").write_text(json.dumps(dict.fromkeys(graph_of(study).runs, "slow")))
    environment = os.environ | {"PYTHONPATH": str(FAKES)}
    machines = [
        subprocess.Popen([sys.executable, "-c", MACHINE, str(study), name], env=environment) for name in ("a", "b")
    ]
    assert [machine.wait() for machine in machines] == [0, 0]
    assert {log.read_text().count("trains") for log in study.glob("runs/*.s*/log.txt")} == {1}
    assert all(state.done for state in graph_of(study).states().values())


def silent(folder, monkeypatch, *, beats=0.0, expires=1.0):
    """A lease of another machine that gives no sign of life any more."""
    lease = Lease(folder)
    lease.acquire()
    lease._stop.set()
    file = next(folder.glob("lease.*.json"))
    file.write_text(json.dumps(json.loads(file.read_text()) | {"machine_id": "elsewhere"}))
    monkeypatch.setattr(leases, "HEARTBEAT_SECONDS", 0.4)
    for function in (leases.Lease.__init__, leases.lease_holder):
        monkeypatch.setitem(function.__kwdefaults__, "stale_seconds", expires)
    return file


def test_a_patient_worker_takes_over_the_run_of_a_machine_that_failed(study, graph_of, monkeypatch):
    silent(study / "runs" / "tiny.en.s0", monkeypatch, expires=3.0)
    assert work(load(study), patient=True)
    assert all(state.done for state in graph_of(study).states().values())


def test_a_patient_worker_does_not_wait_for_a_machine_that_lives(tmp_path, monkeypatch):
    file = silent(tmp_path, monkeypatch, expires=60.0)
    monkeypatch.setattr(time, "sleep", lambda seconds: os.utime(file))
    assert not wait_for_silent_owners([tmp_path])


def test_a_worker_of_many_begins_elsewhere_and_skips_what_others_have_finished(study, graph_of, monkeypatch):
    begun = []
    take = worker_module._Worker.take
    monkeypatch.setattr(
        worker_module._Worker, "take", lambda self, name, *rest: begun.append(name) or take(self, name, *rest)
    )
    assert work(load(study), first=0.5)
    assert begun[0] == "tiny.en.s1"
    assert sorted(begun) == sorted(graph_of(study).runs)
    states = []
    monkeypatch.setattr(StepGraph, "state", lambda self, run, **_: states.append(run))
    assert work(load(study), first=0.1)
    assert not states  # their markers are not read


def test_a_note_on_a_run_that_is_not_finished_is_removed(study, graph_of):
    store = graph_of(study).store
    store.finished_folder.mkdir(parents=True)
    for name in ("tiny.en.s0.abc", "tiny.base.abc"):
        (store.finished_folder / name).touch()
    remove_notes(store, ["tiny.en.s0"])
    assert noted(store) == {"tiny.base.abc"}


def test_a_worker_of_a_model_leaves_the_others(study, graph_of):
    assert work(load(study), models=["tiny"])
    assert all(state.done for state in graph_of(study).states().values())
    with pytest.raises(UnknownName, match=r"'tinny' is not a model of this study\. Did you mean 'tiny'"):
        work(load(study), models=["tinny"])


def test_a_worker_that_is_told_to_end_ends_between_two_steps(study, graph_of):
    (study / "faults.json").write_text(json.dumps(dict.fromkeys(graph_of(study).runs, 30)))
    environment = os.environ | {"PYTHONPATH": str(FAKES), job_module.GRACE: "20"}
    worker = subprocess.Popen([sys.executable, "-m", "crosslift", "work", str(study)], env=environment)
    while not any("trains" in log.read_text() for log in study.glob("runs/*.s*/log.txt")):
        time.sleep(0.05)
    worker.send_signal(signal.SIGUSR2)
    begun = time.monotonic()
    assert worker.wait() == 128 + signal.SIGTERM
    assert time.monotonic() - begun < 15
    assert not [run for run in graph_of(study).runs if graph_of(study).store.holder(run) is not None]
    assert not list(study.glob("runs/*/error.json"))


def test_a_worker_that_cannot_save_in_time_ends_all_the_same():
    code = "import time; from crosslift.execution.workers.job import graceful_termination as g\nwith g(0.3):\n"
    code += "    print('ready', flush=True)\n    time.sleep(60)\n"
    worker = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(FAKES)}
    )
    worker.stdout.readline()
    worker.terminate()
    assert worker.wait(timeout=30) == 128 + signal.SIGTERM


def test_the_file_system_of_a_folder_is_known(tmp_path, monkeypatch):
    mounts = tmp_path / "mounts"
    mounts.write_text(f"disk / ext4 rw 0 0\nserver:/home {tmp_path}/a\\040b nfs4 rw 0 0\n")
    monkeypatch.setattr("crosslift.system.mounts.MOUNTS", mounts)
    (tmp_path / "a b").mkdir()
    assert file_system(tmp_path / "a b" / "study") == "nfs4"
    assert not is_local(tmp_path / "a b" / "study")
    assert is_local(tmp_path / "a bc")
