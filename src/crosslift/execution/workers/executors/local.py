"""Local executor: workers are subprocesses on this machine, one per GPU, or one per core with one thread each.

On two cores, two workers with one thread each have 1.24 times the throughput of one worker with two threads (SFT of a
pocket model), because the threads of one small model synchronise at every layer.

A worker that dies without a message (for example killed for memory) is replaced. Another worker takes its run over and
marks it as failed after a few deaths, so the other runs are not affected.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from crosslift.errors import CrossliftError
from crosslift.execution.workers.job import RUN_STARTED, SESSION, Job, graceful_termination, thread_variables
from crosslift.studies.site import Site
from crosslift.system.files import make_folder

OPTIONS: dict[str, type] = {}

POLL_SECONDS = 0.25
GRACE_SECONDS = 60.0
MAX_SILENT_EXITS = 3
"""Number of consecutive workers that may fail before starting a run; after that, the executor stops."""
MAX_EXITS_PER_RUN = 10
"""Number of consecutive workers that may be terminated during the same run, such as by a memory watchdog that sends
SIGTERM. The time limit of the site is not counted, because the run makes progress under it."""


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
    num_workers = min(job.num_runs, default_workers(job.site))
    threads = job.site.threads_per_worker or (max(1, cores // num_workers) if gpus else 1)
    pool = _Pool(job, threads=threads, gpus=gpus)
    with graceful_termination():
        try:
            for place in range(num_workers):
                pool.start(place)
            while pool.alive():
                tick()
                time.sleep(POLL_SECONDS)
        finally:
            pool.end()


def default_workers(site: Site) -> int:
    """Return the number of workers of a site: as it says, else one per GPU, else one per core or group of cores."""
    gpus = visible_gpus() if site.device in ("auto", "cuda") else []
    return site.num_workers or len(gpus) or max(1, available_cores() // (site.threads_per_worker or 1))


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_gpus() -> list[str]:
    """Return the GPUs that this process may use, as in CUDA_VISIBLE_DEVICES, without importing torch."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [name.strip() for name in chosen.split(",") if name.strip() not in ("", "-1")]
    return [str(number) for number, _ in enumerate(Path("/proc/driver/nvidia/gpus").glob("*"))]


class _Pool:
    def __init__(self, job: Job, *, threads: int, gpus: list[str]) -> None:
        self.job = job
        self.threads = threads
        self.gpus = gpus
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

    def end(self) -> None:
        """Terminate all workers; kill those that do not exit within 5 seconds."""
        for worker in self.workers.values():
            worker.terminate()
        for worker in self.workers.values():
            try:
                worker.wait(timeout=5)
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
        return self.job.logs / f"worker-{place}.txt"

    def _environment(self, place: int) -> Mapping[str, str]:
        environment = {**os.environ, **thread_variables(self.threads), SESSION: self.session}
        if self.gpus:
            environment["CUDA_VISIBLE_DEVICES"] = self.gpus[place % len(self.gpus)]
        return environment
