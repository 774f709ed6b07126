"""Interface of executors.

An executor is a module in `executors/` with one function,

    launch(job: Job, tick: Callable[[], None]) -> None

that starts workers and returns when all have exited. A worker is the command `crosslift work STUDY`. While workers run,
the executor calls `tick` about twice a second. It does not assign runs: workers share them through leases, and their
results are read from the folder.

An executor that queues work with a scheduler has further functions; see `queue`. Any executor may have

    problems(job: Job) -> list[str]

which tells what of the site cannot work, before anything is started.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from crosslift.studies.site import Site

SESSION = "CROSSLIFT_SESSION"
"""Environment variable with the session that launched a worker; deaths of workers are counted per session."""

GRACE = "CROSSLIFT_GRACE_SECONDS"
"""Environment variable with the time in seconds that a worker has between SIGTERM and its end: it saves the state of
its run at the next step. Without it a worker ends at once, and its run goes on from the last saved state."""

PATIENT = "CROSSLIFT_WAITS"
"""Environment variable, "1": a worker that finds only runs of workers that have gone silent waits until their leases
expire, and takes them over."""

PARENT = "CROSSLIFT_PARENT"
"""Environment variable with the process id of the process that started the worker, with which the worker ends."""

FIRST = "CROSSLIFT_FIRST"
"""Environment variable with the place in the order of the runs, 0 to 1, at which a worker begins."""

WORKERS = "CROSSLIFT_WORKERS"
"""Environment variable with the number of workers that share the runs."""

RUN_STARTED = "started run"
"""Prefix of the line that a worker prints to standard output when it starts a run, followed by the run's name."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """Description of the work for an executor."""

    folder: Path
    site: Site
    site_file: Path | None
    num_runs: int
    """Number of missing runs, which is the maximum useful number of workers."""
    session: str
    logs: Path
    """Folder for the output of workers between runs."""
    models: Mapping[str, int] = field(default_factory=dict)
    """Base model -> number of its missing runs, in the study's order."""
    only: tuple[str, ...] = ()
    """Base models whose runs the workers execute; empty: all."""
    runs: tuple[str, ...] = ()
    """Names of the runs to execute; empty for all missing runs."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Further environment variables of the workers."""

    @property
    def results(self) -> Path:
        """Folder of the study's results, which a rehearsal has to itself."""
        return self.logs.parent

    def command(self) -> list[str]:
        """Return the command line of a worker."""
        site = [] if self.site_file is None else ["--site", str(self.site_file)]
        models = [part for name in self.only for part in ("--model", name)]
        return [sys.executable, "-m", "crosslift", "work", str(self.folder), *self.runs, *site, *models]


def thread_variables(num_threads: int) -> dict[str, str]:
    """Return the environment variables that limit a worker's threads.

    Without the limit, two workers that each use all cores have half the throughput of two workers with one core each.

    Args:
        num_threads: number of threads.
    """
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS", "POLARS_MAX_THREADS")
    return dict.fromkeys(names, str(num_threads)) | {"TOKENIZERS_PARALLELISM": "false"}


_asked = threading.Event()


def asked_to_end() -> bool:
    """Return whether this worker was told to end and still has time to save the state of its run."""
    return _asked.is_set()


def end_if_asked() -> None:
    """End this worker if it was told to.

    Raises:
        SystemExit: it was.
    """
    if _asked.is_set():
        raise SystemExit(128 + signal.SIGTERM)


@contextlib.contextmanager
def graceful_termination(grace_seconds: float = 0.0) -> Iterator[None]:
    """Context manager that converts SIGTERM (a scheduler's time limit) into SystemExit, so that leases are released and
    subprocesses are terminated.

    Args:
        grace_seconds: if positive, SIGTERM and SIGUSR2 (the notice of Slurm) only set `asked_to_end`, and SystemExit
            follows after this time, unless the process ended before by itself.
    """

    def end(number: int, frame: object) -> None:
        if grace_seconds <= 0 or number == signal.SIGALRM:
            raise SystemExit(128 + signal.SIGTERM)
        if not _asked.is_set():
            _asked.set()
            signal.setitimer(signal.ITIMER_REAL, grace_seconds)

    numbers = (signal.SIGTERM,) if grace_seconds <= 0 else (signal.SIGTERM, signal.SIGUSR2, signal.SIGALRM)
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        if grace_seconds > 0:
            signal.setitimer(signal.ITIMER_REAL, 0)
            _asked.clear()
        for number, handler in before.items():
            signal.signal(number, handler)
