"""Interface of executors.

An executor is a module in `executors/` with one function,

    launch(job: Job, tick: Callable[[], None]) -> None

that starts workers and returns when all have exited. A worker is the command `crosslift work STUDY`. While workers run,
the executor calls `tick` about twice a second. It does not assign runs: workers share them through leases, and their
results are read from the folder.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from crosslift.studies.site import Site

SESSION = "CROSSLIFT_SESSION"
"""Environment variable with the session that launched a worker; deaths of workers are counted per session."""

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
    runs: tuple[str, ...] = ()
    """Names of the runs to execute; empty for all missing runs."""

    def command(self) -> list[str]:
        """Return the command line of a worker."""
        site = [] if self.site_file is None else ["--site", str(self.site_file)]
        return [sys.executable, "-m", "crosslift", "work", str(self.folder), *self.runs, *site]


def thread_variables(num_threads: int) -> dict[str, str]:
    """Return the environment variables that limit a worker's threads.

    Without the limit, two workers that each use all cores have half the throughput of two workers with one core each.

    Args:
        num_threads: number of threads.
    """
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS", "POLARS_MAX_THREADS")
    return dict.fromkeys(names, str(num_threads)) | {"TOKENIZERS_PARALLELISM": "false"}


@contextlib.contextmanager
def graceful_termination() -> Iterator[None]:
    """Context manager that converts SIGTERM (a scheduler's time limit) into SystemExit, so that leases are released and
    subprocesses are terminated."""

    def end(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
