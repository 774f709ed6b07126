"""Local executor: workers are subprocesses on this machine, one per GPU, or one per core with one thread each.

On two cores, two workers with one thread each have 1.24 times the throughput of one worker with two threads (SFT of a
pocket model), because the threads of one small model synchronise at every layer.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from crosslift.execution.workers.job import Job, graceful_termination
from crosslift.execution.workers.pool import POLL_SECONDS, Pool, available_cores, visible_gpus

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
    gpus = visible_gpus() if job.site.device in ("auto", "cuda") else []
    cores = available_cores()
    num_workers = min(
        job.num_runs, job.site.num_workers or len(gpus) or max(1, cores // (job.site.threads_per_worker or 1))
    )
    threads = job.site.threads_per_worker or (max(1, cores // num_workers) if gpus else 1)
    pool = Pool(job, threads=threads, gpus=gpus)
    with graceful_termination():
        try:
            for place in range(num_workers):
                pool.start(place)
            while pool.alive():
                tick()
                time.sleep(POLL_SECONDS)
        finally:
            pool.end()
