"""Workers in processes of their own: dead ones are noticed, the others go on, and a second start does no harm."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fake_study import FAKES

from crosslift.errors import CrossliftError
from crosslift.execution.workers import launch, pool
from crosslift.execution.workers.job import Job
from crosslift.studies.site import Site


@pytest.fixture(autouse=True)
def fakes_in_workers(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(FAKES))


def run(graph, **site):
    return launch.run(graph, Site(**site), say=print, watch=lambda missing: lambda: None)


def faults(study, found):
    (study / "faults.json").write_text(json.dumps(found))


def test_three_runs_one_killed_half_way_and_relaunched(study, graph_of):
    faults(study, {"tiny.en.s0": "die"})
    outcome = run(graph_of(study), num_workers=2)
    assert outcome.num_started == 5
    assert set(outcome.failed) == {"tiny.en.s0"}
    assert "2 workers died on this run without a message" in outcome.failed["tiny.en.s0"]
    assert (study / "runs" / "tiny.en.s0" / "log.txt").read_text().count("trains tiny.en.s0") == 2
    faults(study, {})
    outcome = run(graph_of(study), num_workers=1)
    assert (outcome.num_started, outcome.good) == (1, True)
    assert run(graph_of(study)).num_started == 0


def test_a_second_start_waits_for_the_first_and_does_nothing_twice(study, graph_of):
    faults(study, dict.fromkeys(graph_of(study).runs, "slow"))
    code = (
        "import sys; from pathlib import Path; from fake_study import open_graph; from test_local_executor import run;"
        "assert run(open_graph(Path(sys.argv[1])), num_workers=1).good"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (FAKES, FAKES.parent, Path(__file__).parent)))}
    starts = [subprocess.Popen([sys.executable, "-c", code, str(study)], env=environment) for _ in range(2)]
    assert [start.wait() for start in starts] == [0, 0]
    for log in study.glob("runs/*.s*/log.txt"):
        assert log.read_text().count("trains") == 1
    assert len(list(study.glob("runs/*.s*/log.txt"))) == 4


def test_workers_that_refuse_to_work_stop_the_start_with_their_own_words(study, graph_of, monkeypatch):
    graph = graph_of(study)
    monkeypatch.setattr(Job, "command", lambda self: [sys.executable, "-m", "crosslift", "work", str(study / "none")])
    with pytest.raises(Exception, match=r"none.* does not exist"):
        run(graph, num_workers=1)


def test_workers_that_die_before_any_run_are_not_started_for_ever(study, graph_of, monkeypatch):
    graph = graph_of(study)
    monkeypatch.setattr(Job, "command", lambda self: [sys.executable, "-c", "import os; os.abort()"])
    with pytest.raises(Exception, match="3 workers in a row exited"):
        run(graph, num_workers=1)


def test_workers_that_are_terminated_at_the_same_run_are_not_started_for_ever(study, graph_of, monkeypatch):
    graph = graph_of(study)
    code = "import os, signal; print('started run tiny.base', flush=True); os.kill(os.getpid(), signal.SIGTERM)"
    monkeypatch.setattr(Job, "command", lambda self: [sys.executable, "-c", code])
    with pytest.raises(CrossliftError, match=r"10 workers in a row were terminated .* while they executed tiny\.base"):
        run(graph, num_workers=1)


def test_workers_that_are_interrupted_while_they_start_are_no_bug(study, graph_of, monkeypatch):
    graph = graph_of(study)
    code = "import sys; sys.exit('Traceback (most recent call last):\\nKeyboardInterrupt')"
    monkeypatch.setattr(Job, "command", lambda self: [sys.executable, "-c", code])
    with pytest.raises(CrossliftError, match="3 workers in a row exited"):
        run(graph, num_workers=1)


def test_a_worker_of_an_earlier_start_does_not_write_into_the_log_of_its_successor(tmp_path, monkeypatch):
    job = Job(folder=tmp_path, site=Site(), site_file=None, num_runs=1, session="s", logs=tmp_path)
    monkeypatch.setattr(Job, "command", lambda self: [sys.executable, "-c", "import sys; print('hello'); sys.exit(1)"])
    with (tmp_path / "worker-0.txt").open("a") as earlier:
        workers = pool.Pool(job, threads=1, gpus=[])
        workers.start(0)
        workers.workers[0].wait()
        print("Traceback (most recent call last):", file=earlier, flush=True)
        assert not workers.alive()  # the run failed: no bug of the worker
    assert (tmp_path / "worker-0.txt").read_text() == "hello\n"


def test_a_worker_has_the_threads_and_the_gpu_that_it_is_given(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, 5")
    assert pool.visible_gpus() == ["2", "5"]
    job = Job(folder=tmp_path, site=Site(), site_file=None, num_runs=9, session="s", logs=tmp_path)
    workers = pool.Pool(job, threads=3, gpus=pool.visible_gpus())
    environment = workers._environment(1)
    assert environment["CUDA_VISIBLE_DEVICES"] == "5"
    assert environment["OMP_NUM_THREADS"] == "3"
    assert environment["TOKENIZERS_PARALLELISM"] == "false"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert pool.visible_gpus() == []


def test_a_worker_over_its_time_is_ended(study, graph_of, monkeypatch):
    graph = graph_of(study)
    monkeypatch.setattr(Job, "command", lambda self: [sys.executable, "-c", "import time; time.sleep(60)"])
    with pytest.raises(Exception, match=r"exit code -15"):
        run(graph, num_workers=1, timeout_seconds=0.3)
