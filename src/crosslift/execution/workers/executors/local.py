"""Local executor: workers are subprocesses on this machine, one per GPU, or one per core with one thread each.

On two cores, two workers with one thread each have 1.24 times the throughput of one worker with two threads (SFT of a
pocket model), because the threads of one small model synchronise at every layer.

Where runs of a model share several devices, each worker owns that many.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from crosslift.execution.workers.job import WORKERS, Job, graceful_termination
from crosslift.execution.workers.pool import POLL_SECONDS, Pool, available_cores, visible_gpus
from crosslift.execution.workers.resources import num_devices, visible_groups
from crosslift.studies.site import Site

OPTIONS: dict[str, type] = {}


def launch(job: Job, tick: Callable[[], None]) -> None:
    """Start workers, replace those that die, and return when all have exited.

    Args:
        job: the work.
        tick: called about twice a second.

    Raises:
        CrossliftError: a worker exited with an error message for the user.
        RuntimeError: a worker exited because of a bug.
    """
    site = job.site
    gpus = visible_gpus() if site.device in ("auto", "cuda") else []
    by_devices: dict[int, list[str]] = {}
    for model in job.models:
        by_devices.setdefault(num_devices(site, model), []).append(model)
    if not by_devices or list(by_devices) == [1]:
        _launch(job, gpus, 1, tick)
        return
    for number in sorted(by_devices, reverse=True):  # runs that need most devices first, while all are free
        models = tuple(by_devices[number])
        num_runs = sum(job.models[model] for model in models)
        if num_runs:
            _launch(replace(job, only=models, num_runs=num_runs), gpus, number, tick)


def default_workers(site: Site, number: int = 1) -> int:
    """Return the number of workers of a site: as it says, else one per GPU, else one per core or group of cores.

    Args:
        site: the site.
        number: devices that the runs of a worker share.
    """
    gpus = visible_gpus() if site.device in ("auto", "cuda") else []
    groups = gpus if number == 1 else visible_groups(gpus, number)
    return site.num_workers or len(groups) or max(1, available_cores() // (number * (site.threads_per_worker or 1)))


def problems(job: Job) -> list[str]:
    """Return which models need more devices than this machine has."""
    gpus = visible_gpus() if job.site.device in ("auto", "cuda") else []
    there = len(gpus) or available_cores()
    return [
        f"site.toml, resources.{model}.devices: a run is to share {number} devices, and this machine has {there} "
        f"{'GPUs' if gpus else 'cores'}. Lower it."
        for model in job.models
        if (number := num_devices(job.site, model)) > there
    ]


def _launch(job: Job, gpus: list[str], number: int, tick: Callable[[], None]) -> None:
    """Run workers of `number` devices each."""
    groups = gpus if number == 1 else visible_groups(gpus, number)
    cores = available_cores()
    num_workers = min(job.num_runs, default_workers(job.site, number))
    threads = job.site.threads_per_worker or (max(1, cores // (num_workers * number)) if gpus else 1)
    environment = {**job.environment, WORKERS: str(num_workers)}
    pool = Pool(replace(job, environment=environment), threads=threads, gpus=groups)
    with graceful_termination():
        try:
            for place in range(num_workers):
                pool.start(place)
            while pool.alive():
                tick()
                time.sleep(POLL_SECONDS)
        finally:
            pool.end()
