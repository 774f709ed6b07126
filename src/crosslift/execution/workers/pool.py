"""A pool of worker processes on one machine: started, replaced when they die, and ended.

The executor `local` runs one for a whole study; executors that queue jobs run one inside each job (`supervisor`).

A worker that dies without a message (for example killed for memory) is replaced. Another worker takes its run over and
marks it as failed after a few deaths, so the other runs are not affected.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from crosslift.errors import CrossliftError
from crosslift.execution.workers.job import RUN_STARTED, SESSION, Job, thread_variables
from crosslift.system.files import make_folder

POLL_SECONDS = 0.25
GRACE_SECONDS = 60.0
END_SECONDS = 5.0
"""Time in seconds after which a worker that was told to end is killed."""
MAX_SILENT_EXITS = 3
"""Number of consecutive workers that may fail before starting a run; after that, the executor stops."""
MAX_EXITS_PER_RUN = 10
"""Number of consecutive workers that may be terminated during the same run, such as by a memory watchdog that sends
SIGTERM. The time limit of the site is not counted, because the run makes progress under it."""


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_gpus() -> list[str]:
    """Return the GPUs that this process may use, as in CUDA_VISIBLE_DEVICES, without importing torch."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [name.strip() for name in chosen.split(",") if name.strip() not in ("", "-1")]
    return [str(number) for number, _ in enumerate(Path("/proc/driver/nvidia/gpus").glob("*"))]


class Pool:
    """Worker processes, each at a place with its own log and, in turn, one of the given GPUs.

    Args:
        job: the work.
        threads: threads of each worker.
        gpus: values of CUDA_VISIBLE_DEVICES that the places get in turn; empty: the variable is left as it is.
        prefix: beginning of the names of the logs.
    """

    def __init__(self, job: Job, *, threads: int, gpus: Sequence[str], prefix: str = "") -> None:
        self.job = job
        self.threads = threads
        self.gpus = list(gpus)
        self.prefix = prefix
        self.session = job.session or secrets.token_hex(4)
        self.workers: dict[int, subprocess.Popen[bytes]] = {}
        self.started: dict[int, float] = {}
        self.silent_exits = 0
        self.last_run = ""
        self.exits_of_last_run = 0
        self.timed_out: set[int] = set()

    def start(self, place: int) -> None:
        """Start the worker with the given index."""
        log = self._log(place)
        self.started[place] = time.monotonic()
        make_folder(log.parent)
        log.unlink(missing_ok=True)  # a worker of a start that was killed may still write to the file
        with log.open("wb") as file:
            self.workers[place] = subprocess.Popen(  # noqa: S603 - our own command line
                self.job.command(), env=self._environment(place), stdin=subprocess.DEVNULL, stdout=file, stderr=file
            )

    def alive(self) -> bool:
        """Replace dead workers and return whether any worker is running.

        Raises:
            CrossliftError: a worker exited with an error message for the user.
            RuntimeError: a worker exited because of a bug.
        """
        for place, worker in list(self.workers.items()):
            code = worker.poll()
            if code is None:
                self._enforce_timeout(place)
                continue
            del self.workers[place]
            if code == 2:
                raise CrossliftError(
                    self._output(place)
                    or f"a worker failed and could not write the reason to {self._log(place)}. Check whether the disk "
                    "is full or read-only."
                )
            interrupted = self._output(place).endswith("KeyboardInterrupt")  # before its signal handler was installed
            if code == 1 and "Traceback" in self._output(place) and not interrupted:
                raise RuntimeError(f"a worker exited because of a bug in crosslift:\n{self._output(place)}")
            if code not in (0, 1) or interrupted:
                self._replace(place, code)
        return bool(self.workers)

    def _enforce_timeout(self, place: int) -> None:
        """Send SIGTERM to a worker that exceeds its time limit, and SIGKILL GRACE_SECONDS later. Its replacement
        resumes the work."""
        limit = self.job.site.timeout_seconds
        late = 0.0 if limit is None else time.monotonic() - self.started[place] - limit
        if late > GRACE_SECONDS:
            self.workers[place].kill()
        elif late > 0:
            self.timed_out.add(place)
            self.workers[place].terminate()

    def end(self, seconds: float = END_SECONDS) -> None:
        """Terminate all workers; kill those that do not exit in time.

        Args:
            seconds: time in seconds that they have, all together.
        """
        last = time.monotonic() + seconds
        for worker in self.workers.values():
            worker.terminate()
        for worker in self.workers.values():
            try:
                worker.wait(timeout=max(0.0, last - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()

    def _replace(self, place: int, code: int) -> None:
        output = self._output(place)
        has_started_run = RUN_STARTED in output
        self.silent_exits = 0 if has_started_run else self.silent_exits + 1
        if self.silent_exits >= MAX_SILENT_EXITS:
            raise CrossliftError(
                f"{MAX_SILENT_EXITS} workers in a row exited (exit code {code}) before they started a run. "
                f"Start one manually: {' '.join(self.job.command())}"
            )
        if place not in self.timed_out and has_started_run:
            self._count_exit(output.rpartition(RUN_STARTED)[2].split("\n")[0].strip(), code)
        self.timed_out.discard(place)
        self.start(place)

    def _count_exit(self, run: str, code: int) -> None:
        self.exits_of_last_run = self.exits_of_last_run + 1 if run == self.last_run else 1
        self.last_run = run
        if self.exits_of_last_run >= MAX_EXITS_PER_RUN:
            raise CrossliftError(
                f"{MAX_EXITS_PER_RUN} workers in a row were terminated (exit code {code}) while they executed {run}. "
                "Find out what ends them (a watchdog for memory, a limit of the system) and start again; finished work "
                "is kept."
            )

    def _output(self, place: int) -> str:
        try:
            return self._log(place).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:  # the disk is full or unavailable
            return ""

    def _log(self, place: int) -> Path:
        return self.job.logs / f"{self.prefix}worker-{place}.txt"

    def _environment(self, place: int) -> Mapping[str, str]:
        environment = {**os.environ, **thread_variables(self.threads), **self.job.environment, SESSION: self.session}
        if self.gpus:
            environment["CUDA_VISIBLE_DEVICES"] = self.gpus[place % len(self.gpus)]
        return environment
