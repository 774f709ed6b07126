"""On a real Ray cluster of several nodes: the same bytes as local, lost nodes are replaced, wrong sites are told."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import engines
import pytest
from engines import crosslift, detach, finish, finish_after_two_starts, finish_two_sizes, slowly, trained, until

from crosslift.execution.workers.executors import ray as executor
from crosslift.execution.workers.executors.ray.cluster import connect
from crosslift.execution.workers.queue import cancel, queue_lines, read_record

pytestmark = engines.marks(engines.no_ray())

SITE = """
executor = "ray"
device = "cpu"
num_workers = 2
notice_seconds = 10
address = "{address}"
"""


@pytest.fixture(scope="module")
def cluster():
    with engines.ray() as one:
        ray = connect({"address": one.address})  # before a node is added that a test removes
        yield one
        ray.shutdown()


@pytest.fixture
def on_ray(study, cluster):
    (study / "site.toml").write_text(SITE.format(address=cluster.address))
    yield study
    if (record := read_record(study)) is not None:
        executor.cancel(record)


def test_a_study_ends_in_the_same_scores_as_on_one_machine(on_ray, scores):
    finish_after_two_starts(on_ray)
    assert (on_ray / "scores.parquet").read_bytes() == scores
    assert "Nothing to do" in detach(on_ray)


@pytest.mark.slow
def test_a_model_of_two_devices_and_a_model_of_half_a_device(on_ray, two_sizes, cluster):
    finish_two_sizes(on_ray, two_sizes, site=SITE.format(address=cluster.address))


def test_a_lost_node_is_replaced_and_the_actor_with_it(on_ray, scores, cluster):
    slowly(on_ray, 2.0)
    lost = cluster.add_node(num_cpus=2, object_store_memory=engines.RAY_MEMORY)
    detach(on_ray)
    until(lambda: trained(on_ray))
    cluster.remove_node(lost, allow_graceful=False)
    slowly(on_ray, 0.0)
    finish(on_ray)
    assert (on_ray / "scores.parquet").read_bytes() == scores


@pytest.mark.slow
def test_a_killed_task_is_started_again(on_ray, scores):
    slowly(on_ray, 2.0)
    detach(on_ray)
    until(lambda: trained(on_ray))
    killed = processes("ray::ray-")
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    assert killed
    slowly(on_ray, 0.0)
    finish(on_ray)
    assert (on_ray / "scores.parquet").read_bytes() == scores


@pytest.mark.slow
def test_cancelled_work_is_kept_and_goes_on(on_ray, scores):
    slowly(on_ray, 2.0)
    detach(on_ray)
    until(lambda: trained(on_ray))
    assert "Cancelled: " in cancel(on_ray)
    assert queue_lines(on_ray) == []
    slowly(on_ray, 0.0)
    finish(on_ray)
    assert (on_ray / "scores.parquet").read_bytes() == scores
    assert read_record(on_ray).executor == "ray"


def test_a_wrong_site_is_told_before_anything_is_queued(on_ray, cluster, monkeypatch):
    site = SITE.format(address=cluster.address)
    (on_ray / "site.toml").write_text(site + "[resources.tiny]\ndevices = 9\n")
    with pytest.raises(Exception, match=r"tiny: a run needs 9 CPU, but no node has that; the largest have 2 CPU\."):
        detach(on_ray)
    (on_ray / "site.toml").write_text(site.replace('device = "cpu"', 'device = "cuda"'))
    with pytest.raises(Exception, match=r'the largest have 2 CPU, 0 GPU\. Set device = "cpu"'):
        detach(on_ray)
    (on_ray / "site.toml").write_text(site)
    monkeypatch.setattr("crosslift.execution.workers.executors.ray.cluster._sees", lambda file: False)
    with pytest.raises(Exception, match=r"is not seen by 2 of 2 nodes .* disk that all nodes share"):
        detach(on_ray)
    assert not (on_ray / "queue.json").exists()


def test_a_cluster_that_is_not_there_is_told(study):
    (study / "site.toml").write_text(SITE.format(address="127.0.0.1:1"))
    assert "There is no Ray cluster at '127.0.0.1:1'" in crosslift("run", study, "--detach", code=2)


def processes(title: str) -> list[int]:
    """Processes with this title."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if file.read_bytes().startswith(title.encode()):
                found.append(int(file.parent.name))
        except OSError:
            continue
    return found
