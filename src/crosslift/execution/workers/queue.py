"""Work that was given to a scheduler: what is queued, from any machine that sees the folder of the study.

An executor that queues work has, besides `launch`, four functions,

    problems(job) -> list[str]                     what cannot work, told before anything is queued
    submit(record, job, wanted) -> None            queue `wanted[group]` more jobs of each group
    look(record) -> Queue | None                   one question to the scheduler; None: it does not answer
    cancel(record) -> None                         end the jobs of the record, queued or running

and `launch` is the function of this module. Jobs carry a name that is written to `queue.json` before the first of them
is queued, so that jobs are found again whoever dies in between. What is finished is never asked of the scheduler: it is
read from the folder.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from crosslift.discover import member
from crosslift.errors import CrossliftError, StoreError
from crosslift.execution.workers import resources
from crosslift.execution.workers.job import Job
from crosslift.execution.workers.resources import Group
from crosslift.system.files import make_folder, read_json, remove, write_json
from crosslift.system.leases import waiting_lease

FILE = "queue.json"
FAILURES = "failed-workers"
"""Folder below logs/ with one message per job whose workers cannot work."""
TICK_SECONDS = 0.5
LOOK_SECONDS = 2.0, 30.0
"""Shortest and longest time between two questions to the scheduler. It grows with the time that has passed."""
PATIENCE_SECONDS = 30.0
"""How long a start asks a scheduler that does not answer, as while its controller or Ray's actor is started again."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """Content of queue.json."""

    name: str
    """Beginning of the names of the jobs; job `<name>-<group>` executes runs of the models of a group."""
    executor: str
    groups: int
    """Number of groups of models that need different resources."""
    options: dict[str, Any] = field(default_factory=dict)
    """Options of the executor in the site file, such as the address of a cluster."""

    def job_names(self) -> list[str]:
        """Return the names of the jobs of all groups."""
        return [f"{self.name}-{group}" for group in range(self.groups)]


@dataclass(frozen=True, kw_only=True)
class Queue:
    """What the scheduler knows of a study."""

    running: Mapping[int, int]
    """Group -> running jobs."""
    waiting: Mapping[int, int]
    """Group -> queued jobs."""
    reasons: tuple[str, ...] = ()
    """Why jobs wait, in the words of the scheduler."""
    num_held: int = 0
    """Waiting jobs that the scheduler does not start until somebody releases them."""

    def num_jobs(self, group: int | None = None) -> int:
        """Return the number of jobs, of one group or of all."""
        both = (self.running, self.waiting)
        return sum(sum(jobs.values()) if group is None else jobs.get(group, 0) for jobs in both)

    def __str__(self) -> str:
        why = f" ({', '.join(self.reasons)})" if self.reasons else ""
        return f"{sum(self.running.values())} jobs running, {sum(self.waiting.values())} waiting{why}"


class Scheduler(Protocol):
    """The functions of an executor that queues work."""

    def problems(self, job: Job) -> list[str]:
        """Return what cannot work."""

    def submit(self, record: Record, job: Job, wanted: Mapping[int, int]) -> None:
        """Queue more jobs of some groups."""

    def look(self, record: Record) -> Queue | None:
        """Ask the scheduler once."""

    def cancel(self, record: Record) -> None:
        """End the jobs."""


def scheduler(executor: str) -> Scheduler | None:
    """Return the executor if it queues work; None if it starts workers itself."""
    module: Any = member("executor", executor)
    return module if hasattr(module, "submit") else None


def read_record(results: Path) -> Record | None:
    """Return what was queued last; None if nothing ever was.

    Args:
        results: folder of the study's results.

    Raises:
        StoreError: queue.json is damaged.
    """
    found = read_json(results / FILE)
    if found is None:
        return None
    try:
        record = Record(**found)
        if isinstance(record.name, str) and isinstance(record.groups, int) and isinstance(record.options, dict):
            return record
    except TypeError:
        pass
    raise StoreError(f"{results / FILE} is damaged. Remove it; jobs that it named end by themselves.")


def queue_work(job: Job) -> str:
    """Queue the jobs that are missing: none if another start has queued them already.

    Args:
        job: the work.

    Returns:
        What is queued, in words.

    Raises:
        CrossliftError: the site is wrong, or the scheduler refuses the jobs.
    """
    chosen = scheduler(job.site.executor)
    assert chosen is not None
    with waiting_lease(job.results):
        record = read_record(job.results)
        if record is not None and record.executor != job.site.executor:
            _expect_ended(record, job.folder)
            record = None
        parts = resources.groups(job)
        if record is None or record.groups != len(parts) or record.options != job.site.options:
            name = record.name if record is not None else f"crosslift-{secrets.token_hex(4)}"
            groups = max(len(parts), record.groups if record is not None else 0)
            options = dict(job.site.options)
            record = Record(name=name, executor=job.site.executor, groups=groups, options=options)
            write_json(job.results / FILE, asdict(record))
        queue = _patient_look(chosen, record)
        if queue is None:
            raise CrossliftError(
                f"The scheduler of executor '{record.executor}' does not answer. Nothing was queued; start again."
            )
        wanted = _missing(parts, queue)
        if wanted:
            if not queue.num_jobs():
                remove(job.logs / FAILURES)
            make_folder(job.logs / FAILURES)
            chosen.submit(record, job, wanted)
            queue = chosen.look(record) or queue
        before = "" if wanted else "already "
        return f"{record.executor}: {queue}; {before}queued as {record.name}"


def _patient_look(chosen: Scheduler, record: Record) -> Queue | None:
    begun = time.monotonic()
    while (queue := chosen.look(record)) is None and time.monotonic() - begun < PATIENCE_SECONDS:
        time.sleep(LOOK_SECONDS[0])
    return queue


def launch(job: Job, tick: Callable[[], None]) -> None:
    """Queue what is not queued yet, and return when the scheduler has no job of the study left.

    Args:
        job: the work.
        tick: called about twice a second.

    Raises:
        CrossliftError: the scheduler refuses the jobs, or no worker could work.
    """
    queue_work(job)
    record, chosen = read_record(job.results), scheduler(job.site.executor)
    assert record is not None
    assert chosen is not None
    started = looked = time.monotonic()
    while True:
        tick()
        time.sleep(TICK_SECONDS)
        now = time.monotonic()
        if now - looked < min(max(LOOK_SECONDS[0], (now - started) / 10), LOOK_SECONDS[1]):
            continue
        queue = chosen.look(record)  # None while a controller is restarted: the jobs go on
        looked = time.monotonic()
        if queue is not None and not queue.num_jobs():
            break
        if queue is not None and queue.num_held == queue.num_jobs():
            raise CrossliftError(
                f"The scheduler holds all jobs of the study ({', '.join(queue.reasons)}). Release them by its own "
                f"means, or run: crosslift cancel {job.folder}; then start again."
            )
    failures = [read_json(file) for file in sorted((job.logs / FAILURES).glob("*.json"))]
    if failures:
        raise CrossliftError(str(failures[0]))


def write_failure(job: Job, name: str, message: str) -> None:
    """Record why the workers of a job cannot work, for the start that waits for them.

    Args:
        job: the work.
        name: name of the job.
        message: the message for the user.
    """
    make_folder(job.logs / FAILURES)
    write_json(job.logs / FAILURES / f"{name}.json", message)


def queue_lines(results: Path) -> list[str]:
    """Say what is queued, for `crosslift status`; nothing if no job is left or nothing was queued.

    Args:
        results: folder of the study's results.
    """
    record = read_record(results)
    if record is None:
        return []
    try:
        chosen = scheduler(record.executor)
        queue = None if chosen is None else chosen.look(record)
    except CrossliftError as error:
        return [f"queued as {record.name}, but this machine cannot ask: {error}"]
    if queue is None:
        return [f"queued as {record.name}, but the scheduler of executor '{record.executor}' does not answer"]
    return [f"{record.executor}: {queue}; queued as {record.name}"] if queue.num_jobs() else []


def cancel(results: Path) -> str:
    """End the jobs of a study. Their runs go on from the last saved state when they are queued again.

    Args:
        results: folder of the study's results.

    Returns:
        What was ended, in words.

    Raises:
        CrossliftError: the scheduler does not answer.
    """
    record = read_record(results)
    if record is None:
        return "Nothing was queued."
    chosen = scheduler(record.executor)
    queue = None if chosen is None else chosen.look(record)
    if chosen is None or queue is None:
        raise CrossliftError(f"The scheduler of executor '{record.executor}' does not answer. Nothing was cancelled.")
    if not queue.num_jobs():
        return "No job is queued or running."
    chosen.cancel(record)
    return f"Cancelled: {queue}. Finished work is kept."


def _missing(parts: list[Group], queue: Queue) -> dict[int, int]:
    """Return group -> number of jobs that are wanted and neither queued nor running."""
    wanted = {number: part.num_jobs - queue.num_jobs(number) for number, part in enumerate(parts)}
    return {number: count for number, count in wanted.items() if count > 0}


def _expect_ended(record: Record, folder: Path) -> None:
    chosen = scheduler(record.executor)
    queue = None if chosen is None else chosen.look(record)
    if chosen is not None and (queue is None or queue.num_jobs()):
        state = "does not answer" if queue is None else f"has {queue}"
        raise CrossliftError(
            f"The study is queued with executor '{record.executor}', which {state}. Wait, or run: "
            f"crosslift cancel {folder}"
        )
