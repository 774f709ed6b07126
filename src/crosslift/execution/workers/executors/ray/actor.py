"""The actor of a study on Ray, which keeps its tasks running until no run is left, and the body of a task."""

from __future__ import annotations

import secrets
import threading
import time
import traceback
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.store import Store
from crosslift.execution.workers import queue, resources
from crosslift.execution.workers.executors.ray.cluster import asked_of_ray
from crosslift.execution.workers.job import Job
from crosslift.execution.workers.resources import Group
from crosslift.execution.workers.supervisor import Supervisor
from crosslift.studies.parsing.load import load
from crosslift.studies.planning.rehearsal import rehearse
from crosslift.system.leases import lease_holder

NOTICE_SECONDS = 30
"""Time that workers have to save the states of their runs when they are cancelled."""
LOOK_SECONDS = 0.5
WAIT_SECONDS = 1.0
MAX_LOST = 20
"""Number of tasks that may be lost without a further finished run."""
MAX_IDLE_ROUNDS = 5
"""Number of times that tasks are started again without a further finished run, before the actor gives up."""


class StudyActor:
    """Keeps the tasks of one study running until no run is left.

    Args:
        job: the work.
        wanted: group -> number of tasks.
    """

    def __init__(self, job: Job, wanted: Mapping[int, int]) -> None:
        self._job = job
        self._wanted = Counter(wanted)
        self._tasks: dict[Any, _Task] = {}
        self._begun: set[str] = set()
        self._lost = 0
        self._num_done = 0
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._ended = False
        threading.Thread(target=self._keep, name="study", daemon=True).start()

    def extend(self, job: Job, wanted: Mapping[int, int]) -> bool:
        """Start further tasks. Returns False if this actor is ending."""
        with self._lock:
            if self._ended or self._stopped.is_set():
                return False
            self._job = job
            self._wanted.update(wanted)
            return True

    def begin(self, name: str) -> None:
        """Note that a task has its devices; called by the task."""
        self._begun.add(name)

    def look(self) -> tuple[dict[int, int], dict[int, int]]:
        """Return the numbers of running and of waiting tasks by group."""
        with self._lock:
            running, waiting = Counter[int](), Counter(self._wanted)
            for task in self._tasks.values():
                (running if task.name in self._begun else waiting)[task.group] += 1
        return dict(running), dict(waiting)

    def stop(self) -> None:
        """End all tasks, and wait until they have ended."""
        import ray

        self._stopped.set()
        with self._lock:
            tasks = list(self._tasks)
        for task in tasks:
            ray.cancel(task, force=False)
        if tasks:
            ray.wait(tasks, num_returns=len(tasks), timeout=NOTICE_SECONDS)

    def _keep(self) -> None:
        import ray

        self._me = ray.get_runtime_context().current_actor
        try:
            self._loop(ray)
        except Exception:
            queue.write_failure(self._job, "ray", traceback.format_exc())
        with self._lock:
            self._ended = True
        if not self._stopped.is_set():
            time.sleep(LOOK_SECONDS)  # a question that is under way is answered
            ray.kill(self._me, no_restart=True)

    def _loop(self, ray: Any) -> None:
        idle = 0
        while not self._stopped.is_set():
            with self._lock:
                for group in self._wanted.elements():
                    self._start(ray, group)
                self._wanted.clear()
            if self._tasks:
                self._collect(ray)
                continue
            if self._gave_up():
                return
            free, num_leased, num_done = left(self._job)
            if not free and not num_leased:
                return
            if not free:  # the leases are released, or expire
                time.sleep(WAIT_SECONDS)
                continue
            idle, self._num_done = (0 if num_done > self._num_done else idle + 1), num_done
            if idle >= MAX_IDLE_ROUNDS:
                message = (
                    f"{MAX_IDLE_ROUNDS} rounds of workers ended without finishing a run; their output is in logs/."
                )
                queue.write_failure(self._job, "ray", message)
                return
            parts = resources.groups(replace(self._job, models=free, num_runs=sum(free.values())))
            self._wanted.update({number: part.num_jobs for number, part in enumerate(parts)})

    def _start(self, ray: Any, group: int) -> None:
        part, name = resources.groups(self._job)[group], f"ray-{secrets.token_hex(4)}"
        asked = asked_of_ray(part.need)
        options = {"num_cpus": asked["CPU"], "num_gpus": asked.get("GPU", 0), "memory": int(asked.get("memory", 0))}
        task = ray.remote(execute).options(name=name, max_retries=0, **options)
        self._tasks[task.remote(self._job, part, name, self._me)] = _Task(group=group, name=name)

    def _collect(self, ray: Any) -> None:
        """Wait a moment for a task to end, and start another one in place of a lost one."""
        ended, _ = ray.wait(list(self._tasks), num_returns=1, timeout=LOOK_SECONDS)
        for reference in ended:
            with self._lock:
                task = self._tasks.pop(reference)
            try:
                ray.get(reference)
            except ray.exceptions.TaskCancelledError:
                pass
            except ray.exceptions.RayTaskError as error:  # a bug; the other tasks go on
                queue.write_failure(self._job, task.name, str(error))
            except ray.exceptions.RayError:  # the process or its node is lost
                self._lost += 1
                if not self._stopped.is_set() and not self._gave_up():
                    self._wanted[task.group] += 1

    def _gave_up(self) -> bool:
        """Return whether a worker could not work, or too many tasks were lost without a further finished run."""
        if self._lost > MAX_LOST:
            num_done = left(self._job)[2]
            if num_done <= self._num_done:
                message = f"{self._lost} tasks were lost, and no run was finished in between; see the logs of Ray."
                queue.write_failure(self._job, "ray", message)
            self._lost, self._num_done = 0, num_done
        return any((self._job.logs / queue.FAILURES).glob("*.json"))


@dataclass(frozen=True, kw_only=True)
class _Task:
    group: int
    name: str


def execute(job: Job, group: Group, name: str, actor: Any) -> None:
    """Execute runs until none is left; the body of a task."""
    actor.begin.remote(name)
    grace = float(job.site.options.get("notice_seconds", NOTICE_SECONDS)) / 2
    Supervisor(job, group, name=name, grace_seconds=grace).run()


def left(job: Job) -> tuple[dict[str, int], int, int]:
    """Read from the folder what is left of a study.

    Args:
        job: the work.

    Returns:
        Model -> its missing runs that nobody works on and that have not failed; the number of missing runs that are
        leased; the number of finished runs.
    """
    study = load(job.folder, data="optional")
    if job.site.rehearsal is not None:
        study = rehearse(study, job.site.rehearsal)
    graph = StepGraph(study, Store(study.results_folder))
    free, leased, done = Counter(dict.fromkeys(study.models, 0)), 0, 0
    for name, state in graph.states().items():
        if state.done:
            done += 1
        elif lease_holder(graph.store.run_folder(name)) is not None:
            leased += 1
        elif graph.store.error(name) is None:
            free[state.steps.run.model.name] += 1
    return dict(free) if free.total() else {}, leased, done
