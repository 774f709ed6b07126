"""On a real Slurm: the same bytes as local, jobs that are queued again, and sites that are told to be wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import engines
import pytest
import slurm_cluster
from engines import crosslift, detach, finish, finish_after_two_starts, finish_two_sizes, slowly, trained, until

from crosslift.execution.workers.queue import read_record

pytestmark = engines.marks(engines.no_slurm())

SITE = """
executor = "slurm"
device = "cpu"
num_workers = 2
notice_seconds = 15
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with engines.slurm(tmp_path_factory.mktemp("slurm") / "cluster") as folder:
        yield folder


@pytest.fixture
def on_slurm(study, cluster):
    (study / "site.toml").write_text(SITE)
    yield study
    subprocess.run(["scancel", "-u", "root"], capture_output=True)
    until(lambda: not queued(cluster))


def queued(cluster: Path) -> list[str]:
    return slurm_cluster.ask(cluster, "squeue", "--noheader", "--array", "--format=%A %T %j").splitlines()


def test_a_study_ends_in_the_same_scores_as_on_one_machine(on_slurm, scores):
    said = crosslift("run", on_slurm)
    assert "5 of 5 runs are done" in said
    assert (on_slurm / "scores.parquet").read_bytes() == scores
    assert "Nothing to do" in crosslift("run", on_slurm, "--detach")


@pytest.mark.slow
def test_a_model_of_two_devices_and_a_model_of_half_a_device(on_slurm, two_sizes):
    finish_two_sizes(on_slurm, two_sizes, site=SITE)
    asked = [file.read_text() for file in (on_slurm / "logs" / "slurm").glob("*_submission.sh")]
    assert sorted(line for text in asked for line in text.splitlines() if "--cpus-per-task=" in line[:40]) == [
        "#SBATCH --cpus-per-task=1",
        "#SBATCH --cpus-per-task=2",
    ]


@pytest.mark.slow
def test_two_detached_starts_queue_the_work_once_and_a_third_waits_for_it(on_slurm, scores, cluster):
    finish_after_two_starts(on_slurm)
    assert len(list((on_slurm / "logs" / "slurm").glob("*_submission.sh"))) == 1
    assert (on_slurm / "scores.parquet").read_bytes() == scores


def test_a_job_that_is_given_notice_is_queued_again(on_slurm, scores, cluster):
    slowly(on_slurm, 3.0)
    detach(on_slurm)
    until(lambda: trained(on_slurm))
    for job in {line.split()[0] for line in queued(cluster)}:
        subprocess.run(["scancel", "--signal=USR2", job], check=True)  # as Slurm does before the time limit
    until(lambda: list((on_slurm / "logs").glob("slurm-*-1-worker-0.txt")))  # the second start of a job
    slowly(on_slurm, 0.0)
    finish(on_slurm)
    assert (on_slurm / "scores.parquet").read_bytes() == scores


@pytest.mark.slow
def test_cancelled_work_is_kept_and_goes_on(on_slurm, scores, cluster):
    slowly(on_slurm)
    detach(on_slurm)
    assert read_record(on_slurm).name in crosslift("status", on_slurm)
    until(lambda: trained(on_slurm))
    assert "Cancelled: " in crosslift("cancel", on_slurm)
    until(lambda: not queued(cluster))
    finish(on_slurm)
    assert (on_slurm / "scores.parquet").read_bytes() == scores


def test_a_restarted_controller_and_a_killed_node_lose_nothing(on_slurm, scores, cluster):
    slowly(on_slurm)
    detach(on_slurm)
    until(lambda: trained(on_slurm))
    for name in ("slurmctld", "node1"):
        os.kill(slurm_cluster.pid_of(cluster, name), signal.SIGKILL)
    time.sleep(0.5)
    slurm_cluster.start_controller(cluster)
    slurm_cluster.start_node(cluster, 1)
    slurm_cluster.wait_until_idle(cluster, 2)
    finish(on_slurm)
    assert (on_slurm / "scores.parquet").read_bytes() == scores


@pytest.mark.parametrize(
    ("site", "message"),
    [
        ('partition = "gpus"', "there is no partition 'gpus'. Known: main, short, urgent."),
        ("[resources.tiny]\ndevices = 9", "a job needs 9 cores, but a node of the default partition has at most 2."),
        ("[resources.tiny]\nmemory_gb = 500", "a job needs 500 GB of memory"),
        ('partition = "short"\n[resources.tiny]\nhours = 3', "hours = 3 is more than the limit of the partition"),
        ("[resources.tny]\ndevices = 1", "there is no model 'tny'. Known: tiny, default."),
        ('constraint = "a100"', "Slurm refuses such a job"),
    ],
)
def test_a_wrong_site_is_told_before_anything_is_queued(on_slurm, cluster, site, message):
    (on_slurm / "site.toml").write_text(SITE + site)
    assert message in crosslift("run", on_slurm, "--detach", code=2)
    assert not queued(cluster)
    assert not (on_slurm / "queue.json").exists()


def test_gpus_that_no_node_has_are_told(on_slurm):
    (on_slurm / "site.toml").write_text('executor = "slurm"\n')
    said = crosslift("run", on_slurm, "--detach", code=2)
    assert "a run needs 1 devices, but a node of the default partition has at most 0." in said
    assert 'Set device = "cpu"' in said
