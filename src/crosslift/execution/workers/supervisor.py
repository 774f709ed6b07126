"""The inside of a queued job: workers on the job's devices, replaced when they die, told to end when the job must.

The job has what the runs of its group need. On devices that several runs share, as many workers are started.
"""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace

from crosslift.errors import CrossliftError
from crosslift.execution.workers.job import FIRST, GRACE, PARENT, PATIENT, Job
from crosslift.execution.workers.pool import POLL_SECONDS, Pool, visible_gpus
from crosslift.execution.workers.queue import write_failure
from crosslift.execution.workers.resources import Group

KILL_SECONDS = 5.0
"""Time in seconds between the end of the workers' grace and SIGKILL."""


class Supervisor:
    """Runs the workers of one job.

    Args:
        job: the work of the job's group.
        group: what the job's runs need, and how many workers share its devices.
        name: name of the job, unique on the cluster; deaths of workers are counted per job.
        grace_seconds: time in seconds that workers have to save the states of their runs.
    """

    def __init__(self, job: Job, group: Group, *, name: str, grace_seconds: float) -> None:
        self.name = name
        self.grace_seconds = grace_seconds
        self.ending = False
        variables = {GRACE: str(grace_seconds), PATIENT: "1", PARENT: str(os.getpid()), FIRST: str(_place_of(name))}
        self.job = replace(job, only=group.models, session=f"{job.session}.{name}", environment=variables)
        self.num_workers = group.workers_per_job
        need = group.need
        gpus = visible_gpus() if need.gpus else []
        threads = job.site.threads_per_worker or (max(1, int(need.cores)) if gpus else 1)
        self.pool = Pool(self.job, threads=threads, gpus=[",".join(gpus)] if gpus else [], prefix=f"{name}-")

    def run(self, tick: Callable[[], None] = lambda: None) -> None:
        """Start the workers, and return when no run is left for them.

        Args:
            tick: called a few times a second.
        """
        try:
            for place in range(self.num_workers):
                self.pool.start(place)
            while not self.ending and self.pool.alive():
                tick()
                time.sleep(POLL_SECONDS)
        except CrossliftError as error:
            write_failure(self.job, self.name, str(error))
        except RuntimeError as error:  # a bug, which the start that waits must show
            write_failure(self.job, self.name, str(error))
            raise
        finally:
            self.end()

    def end(self) -> None:
        """Tell the workers to save the states of their runs, wait for them, and kill those that take too long."""
        self.ending = True
        self.pool.end(self.grace_seconds + KILL_SECONDS)

    def end_at(self, *numbers: signal.Signals) -> None:
        """End the workers, and this process, at a signal."""

        def handle(number: int, frame: object) -> None:
            self.end()
            raise SystemExit(128 + number)

        for number in numbers:
            signal.signal(number, handle)


def _place_of(name: str) -> float:
    """Return a number between 0 and 1 that differs between jobs."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 2**32
