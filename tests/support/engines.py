"""A real Slurm and a real Ray on this machine, for tests marked `engines`; or the reason why there is none."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fake_study import FAKES, open_graph
from places import REPOSITORY

from crosslift.execution.workers import launch
from crosslift.studies.site import load_site

sys.path.insert(0, str(REPOSITORY / "tools"))

import slurm_cluster

SOURCES = os.pathsep.join((str(FAKES), str(REPOSITORY / "src")))
TWO_SIZES = """
[resources.large]
devices = 2

[resources.tiny]
devices = 0.5
"""
RAY_MEMORY = 80_000_000
"""Bytes of Ray's object store, which the executor does not use."""


def marks(missing: str) -> list[pytest.MarkDecorator]:
    """The marks of a module of tests with a real engine, skipped where it is missing."""
    return [
        pytest.mark.engines,
        pytest.mark.xdist_group("engines"),
        pytest.mark.skipif(bool(missing), reason=missing),
    ]


def no_slurm() -> str:
    """Why there is no Slurm; empty if one can be started."""
    if importlib.util.find_spec("submitit") is None:
        return "submitit is not installed (pip install 'crosslift[slurm]')"
    return slurm_cluster.unavailable()


def no_ray() -> str:
    """Why there is no Ray; empty if one can be started."""
    return "" if importlib.util.find_spec("ray") is not None else "ray is not installed (pip install 'crosslift[ray]')"


@contextmanager
def slurm(folder: Path, **sizes: int) -> Iterator[Path]:
    """A cluster, to which the commands of this process speak. Yields its folder."""
    slurm_cluster.start(folder, **sizes)
    before = {name: os.environ.get(name) for name in ("SLURM_CONF", "PYTHONPATH", "PATH")}
    os.environ |= {**slurm_cluster.environment(folder), "PYTHONPATH": SOURCES}
    try:
        yield folder
    finally:
        slurm_cluster.stop(folder)
        _restore(before)


@contextmanager
def ray(num_nodes: int = 2, cores: int = 2) -> Iterator[Any]:
    """A cluster with several nodes on this machine. Yields Ray's own `Cluster`."""
    variables = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",  # the default of 15 lets tests wait on a machine that does much else
        "RAY_gcs_rpc_server_reconnect_timeout_s": "60",
        "RAY_health_check_failure_threshold": "3",
        "PYTHONPATH": SOURCES,
    }
    before = {name: os.environ.get(name) for name in variables}
    os.environ |= variables
    import ray as package
    from ray.cluster_utils import Cluster

    node = {"num_cpus": cores, "object_store_memory": RAY_MEMORY}
    cluster = Cluster()
    try:
        patiently(lambda: cluster.add_node(**node, include_dashboard=False))
        for _ in range(num_nodes - 1):
            patiently(lambda: cluster.add_node(**node))
        yield cluster
    finally:
        package.shutdown()  # a cluster does not end while this process is connected to it
        cluster.shutdown()
        _restore(before)


def patiently(start: Callable[[], Any]) -> None:
    """Start a node of Ray, which gives up after 30 seconds: too few on a machine that does much else."""
    for attempt in range(3):
        try:
            start()
            return
        except Exception:
            if attempt == 2:
                raise


def crosslift(*arguments: object, code: int = 0, seconds: float = 120.0) -> str:
    """What a command prints, in a process of its own."""
    ended = subprocess.run(
        [sys.executable, "-m", "crosslift", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": SOURCES, "OMP_NUM_THREADS": "1"},
        timeout=seconds,
    )
    assert ended.returncode == code, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def finish(study: Path) -> None:
    """Execute what is left of a study as its site says, without a report."""
    outcome = launch.run(
        open_graph(study),
        load_site(study / "site.toml"),
        site_file=study / "site.toml",
        say=lambda line: None,
        watch=lambda missing: lambda: None,
    )
    assert outcome.good, outcome.failed


def finish_after_two_starts(study: Path) -> None:
    """Queue a study by two starts at once, and finish it: the work is queued once, and every run trained once."""
    slowly(study)
    command = [sys.executable, "-m", "crosslift", "run", str(study), "--detach"]
    starts = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [start.communicate()[0] for start in starts]
    assert sum("already queued" in one for one in said) == 1, said
    finish(study)
    assert set(trained(study).values()) == {1}


def finish_two_sizes(study: Path, two_sizes: tuple[Path, bytes], *, site: str) -> None:
    """Finish a study with a model of two devices and one of half a device: its scores are those of one machine."""
    fresh, expected = two_sizes
    shutil.rmtree(study)
    shutil.copytree(fresh, study)
    (study / "site.toml").write_text(site.replace("num_workers = 2", "num_workers = 3") + TWO_SIZES)
    finish(study)
    assert (study / "scores.parquet").read_bytes() == expected


def detach(study: Path) -> str:
    """Queue what is left of a study as its site says."""
    file = study / "site.toml"
    return launch.run_detached(open_graph(study), load_site(file), site_file=file, say=lambda line: None)


def slowly(study: Path, seconds: float = 1.0) -> None:
    """Let every training take some time."""
    (study / "faults.json").write_text(json.dumps(dict.fromkeys(runs(study), seconds)))


def until(true: Callable[[], object], *, seconds: float = 60.0) -> None:
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.1)


def runs(study: Path) -> list[str]:
    """Names of the trained runs of a prepared study."""
    return [folder.name for folder in sorted(study.glob("runs/*.s*"))]


def trained(study: Path) -> dict[str, int]:
    """Run -> how often its training was begun."""
    return {log.parent.name: log.read_text().count("trains ") for log in study.glob("runs/*.s*/log.txt")}


def _restore(before: dict[str, str | None]) -> None:
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
