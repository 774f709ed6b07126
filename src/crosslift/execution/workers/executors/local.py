"""Workers as processes of this machine: one per GPU, or one per core with one thread each.

Two workers of one thread do 1.24 times the work of one worker of two threads on the same two cores (SFT of a pocket
model): training one small model in parallel waits at every layer, two models side by side wait for nothing.

A worker that dies without a word (killed for memory, say) is replaced: its run is taken up by the next worker, which
gives it up after a few deaths, so the others go on in any case.
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
from crosslift.system.files import make_folder

OPTIONS: dict[str, type] = {}

POLL_SECONDS = 0.25
GRACE_SECONDS = 60.0
MAX_SILENT_EXITS = 3
"""So many workers in a row that end badly without having begun a run mean that none ever will."""


def launch(job: Job, tick: Callable[[], None]) -> None:
    """Start workers, replace those that die, and return when all have ended.

    Raises:
        CrossliftError: a worker refused to work; the message is its own.
    """
    gpus = visible_gpus() if job.site.device in ("auto", "cuda") else []
    cores = available_cores()
    num_workers = min(
        job.num_runs, job.site.num_workers or len(gpus) or max(1, cores // (job.site.threads_per_worker or 1))
    )
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


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_gpus() -> list[str]:
    """GPUs that this process may use, by their names in CUDA_VISIBLE_DEVICES. Without importing torch."""
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
        self.quiet_deaths = 0

    def start(self, place: int) -> None:
        log = self._log(place)
        self.started[place] = time.monotonic()
        make_folder(log.parent)
        with log.open("wb") as file:
            self.workers[place] = subprocess.Popen(  # noqa: S603 - our own command line
                self.job.command(), env=self._environment(place), stdin=subprocess.DEVNULL, stdout=file, stderr=file
            )

    def alive(self) -> bool:
        """Replace the dead. Is anyone at work?"""
        for place, worker in list(self.workers.items()):
            code = worker.poll()
            if code is None:
                self._hold_to_time(place)
                continue
            del self.workers[place]
            if code == 2:
                raise CrossliftError(
                    self._said(place)
                    or f"a worker gave up and could not even write why to {self._log(place)}. Is the "
                    "disk full, or read-only?"
                )
            interrupted = self._said(place).endswith("KeyboardInterrupt")  # before it could answer a signal
            if code == 1 and "Traceback" in self._said(place) and not interrupted:
                raise RuntimeError(f"a worker ended with a bug of crosslift:\n{self._said(place)}")
            if code not in (0, 1) or interrupted:
                self._replace(place, code)
        return bool(self.workers)

    def _hold_to_time(self, place: int) -> None:
        """A worker over its time is asked to end, and a minute later made to; the next one goes on from there."""
        limit = self.job.site.timeout_seconds
        late = 0.0 if limit is None else time.monotonic() - self.started[place] - limit
        if late > GRACE_SECONDS:
            self.workers[place].kill()
        elif late > 0:
            self.workers[place].terminate()

    def end(self) -> None:
        """Ask politely, then not."""
        for worker in self.workers.values():
            worker.terminate()
        for worker in self.workers.values():
            try:
                worker.wait(timeout=5)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()

    def _replace(self, place: int, code: int) -> None:
        began = RUN_STARTED in self._said(place)
        self.quiet_deaths = 0 if began else self.quiet_deaths + 1
        if self.quiet_deaths >= MAX_SILENT_EXITS:
            raise CrossliftError(
                f"{MAX_SILENT_EXITS} workers in a row ended (exit code {code}) before they started a run. "
                f"Start one by hand: "
                f"{' '.join(self.job.command())}"
            )
        self.start(place)

    def _said(self, place: int) -> str:
        try:
            return self._log(place).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:  # the disk is full, or away
            return ""

    def _log(self, place: int) -> Path:
        return self.job.logs / f"worker-{place}.txt"

    def _environment(self, place: int) -> Mapping[str, str]:
        environment = {**os.environ, **thread_variables(self.threads), SESSION: self.session}
        if self.gpus:
            environment["CUDA_VISIBLE_DEVICES"] = self.gpus[place % len(self.gpus)]
        return environment
