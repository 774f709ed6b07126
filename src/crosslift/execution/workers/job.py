"""What an executor is.

An executor is a module in `executors/` with one function,

    launch(job: Job, tick: Callable[[], None]) -> None

that starts workers, which are the command `crosslift work STUDY` and nothing else, and returns when all have ended. It
calls `tick` about twice a second meanwhile. It decides nothing about runs: workers share them through leases, and what
became of them is read from the folder.
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
"""Environment variable that tells a worker who launched it; deaths of workers are counted within a session."""

RUN_STARTED = "begins"
"""A worker says this and the name of the run on its standard output."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be done, as far as an executor needs to know."""

    folder: Path
    site: Site
    site_file: Path | None
    num_runs: int
    """Runs that are missing: more workers than that are idle."""
    session: str
    logs: Path
    """Folder for what workers say between runs."""

    def command(self) -> list[str]:
        """One worker."""
        site = [] if self.site_file is None else ["--site", str(self.site_file)]
        return [sys.executable, "-m", "crosslift", "work", str(self.folder), *site]


def thread_variables(num_threads: int) -> dict[str, str]:
    """Environment that holds a worker to its threads. Two workers that each take all cores do half the work of two that
    take one each."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS", "POLARS_MAX_THREADS")
    return dict.fromkeys(names, str(num_threads)) | {"TOKENIZERS_PARALLELISM": "false"}


@contextlib.contextmanager
def graceful_termination() -> Iterator[None]:
    """A polite request to end (a scheduler's time limit) leaves no lease and no process behind."""

    def end(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
