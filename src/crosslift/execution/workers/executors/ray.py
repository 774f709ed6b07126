"""Workers as tasks of a Ray cluster, kept in number by one detached actor per study.

A task has the resources of a group of models (`[resources]` in site.toml) and executes runs one after another. The
actor replaces tasks whose node or process is lost, waits for leases of lost workers to expire, and ends when no run is
left. It belongs to no start: `crosslift run --detach` returns once the actor works, and Ray starts it again on another
node if its own is lost. All nodes must see the folder; each is asked before anything is queued.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
import time
import traceback
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from crosslift.errors import CrossliftError
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.store import Store
from crosslift.execution.workers import queue, resources
from crosslift.execution.workers.job import Job
from crosslift.execution.workers.queue import Queue, Record
from crosslift.execution.workers.resources import Group, Need
from crosslift.execution.workers.supervisor import Supervisor
from crosslift.extras import optional, require
from crosslift.studies.parsing.load import load
from crosslift.studies.planning.rehearsal import rehearse
from crosslift.system.files import temporary_of
from crosslift.system.leases import lease_holder

OPTIONS: dict[str, type] = {"address": str, "notice_seconds": int}

NAMESPACE = "crosslift"
NOTICE_SECONDS = 30
"""Time that workers have to save the states of their runs when they are cancelled."""
LOOK_SECONDS = 0.5
WAIT_SECONDS = 1.0
MAX_LOST = 20
"""Number of tasks that may be lost without a further finished run."""
MAX_IDLE_ROUNDS = 5
"""Number of times that tasks are started again without a further finished run, before the actor gives up."""
ANSWER_SECONDS = 60.0
CONNECT_SECONDS = 10.0
PROBE_SECONDS = 120.0
"""A node first starts a process, which takes a minute where much else runs."""

launch = queue.launch


def problems(job: Job) -> list[str]:
    """Return what of the site Ray would not execute.

    Args:
        job: the work.

    Returns:
        One sentence each.

    Raises:
        MissingPackage: ray is not installed.
    """
    require("ray")
    found = resources.problems(job)
    try:
        ray = _connect(job.site.options)
    except CrossliftError as error:
        return [*found, str(error)]
    nodes = [node for node in ray.nodes() if node["Alive"]]
    for group in resources.groups(job):
        need, models = group.need, ", ".join(group.models)
        asked = _asked(need)
        if not any(all(node["Resources"].get(name, 0) >= much for name, much in asked.items()) for node in nodes):
            words = ", ".join(f"{much:g} {name}" for name, much in asked.items())
            most = {name: max(node["Resources"].get(name, 0) for node in nodes) for name in asked}
            cpu = ' Set device = "cpu" for nodes without GPUs.' if need.gpus and not most.get("GPU") else ""
            have = ", ".join(f"{much:g} {name}" for name, much in most.items())
            found.append(f"{models}: a run needs {words}, but no node has that; the largest have {have}.{cpu}")
    blind = _blind_nodes(ray, job.folder, nodes)
    if blind:
        found.append(
            f"{job.folder} is not seen by {len(blind)} of {len(nodes)} nodes ({', '.join(blind[:3])}). Move the study "
            "to a disk that all nodes share, under the same path."
        )
    return found


def submit(record: Record, job: Job, wanted: Mapping[int, int]) -> None:
    """Start the actor of the study, or give it more tasks.

    Args:
        record: names the actor.
        job: the work.
        wanted: group -> number of tasks.

    Raises:
        CrossliftError: the cluster does not start the actor.
    """
    ray = _connect(record.options)
    try:
        _submit(ray, record, job, dict(wanted))
    except ray.exceptions.RayError as error:
        raise CrossliftError(
            f"Ray does not start the actor of the study ({error}). See: ray status; then start again."
        ) from error


def _submit(ray: Any, record: Record, job: Job, wanted: dict[int, int]) -> None:
    actor = _actor(ray, record)
    if actor is not None:
        with contextlib.suppress(ray.exceptions.ActorDiedError):
            if ray.get(actor.extend.remote(job, wanted), timeout=ANSWER_SECONDS):
                return
        _wait_until_gone(ray, record)
    kind = ray.remote(StudyActor).options(
        name=record.name, namespace=NAMESPACE, lifetime="detached", max_restarts=-1, num_cpus=0, max_concurrency=4
    )
    actor = kind.remote(job, wanted)
    ray.get(actor.look.remote(), timeout=ANSWER_SECONDS)


def look(record: Record) -> Queue | None:
    """Ask the actor of a study once.

    Raises:
        CrossliftError: this machine is not connected to the cluster.
    """
    ray = _connect(record.options)
    try:
        actor = _actor(ray, record)
        if actor is None:
            return Queue(running={}, waiting={})
        running, waiting = ray.get(actor.look.remote(), timeout=ANSWER_SECONDS)
    except ray.exceptions.ActorDiedError:
        return Queue(running={}, waiting={})
    except ray.exceptions.RayError:  # it is being started on another node
        return None
    return Queue(running=running, waiting=waiting)


def cancel(record: Record) -> None:
    """End the tasks and the actor of a study."""
    ray = _connect(record.options)
    actor = _actor(ray, record)
    if actor is None:
        return
    with contextlib.suppress(ray.exceptions.RayError):  # it ends with its node, or is killed next
        ray.get(actor.stop.remote(), timeout=ANSWER_SECONDS + NOTICE_SECONDS)
    ray.kill(actor, no_restart=True)


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
        asked = _asked(part.need)
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


def _asked(need: Need) -> dict[str, float]:
    """Return what a task asks for, in the words of Ray."""
    asked: dict[str, float] = {"CPU": need.job_cores}
    if need.job_gpus:
        asked["GPU"] = need.job_gpus
    if need.job_memory_gb is not None:
        asked["memory"] = need.job_memory_gb * 1e9
    return asked


def _connect(options: Mapping[str, Any]) -> Any:
    """Connect to the cluster once, and return the package.

    Raises:
        CrossliftError: there is no cluster, or its versions differ.
    """
    with optional():
        import ray
    if ray.is_initialized():
        return ray
    address = str(options.get("address", "auto"))
    try:
        _expect_listening(address)
        ray.init(
            address=address, namespace=NAMESPACE, log_to_driver=False, logging_level="ERROR", configure_logging=False
        )
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CrossliftError(
            f"There is no Ray cluster at '{address}' ({reason}). Start one: ray start --head; or set address in "
            "site.toml."
        ) from error
    return ray


def _expect_listening(address: str) -> None:
    """Fail at once where nothing listens; Ray itself would try for minutes.

    Raises:
        OSError: nothing does.
    """
    host, _, port = address.rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()


def _actor(ray: Any, record: Record) -> Any:
    """Return the actor of a study; None if there is none."""
    try:
        return ray.get_actor(record.name, NAMESPACE)
    except ValueError:
        return None


def _wait_until_gone(ray: Any, record: Record) -> None:
    """Wait until an actor that is ending has ended."""
    last = time.monotonic() + ANSWER_SECONDS
    while _actor(ray, record) is not None and time.monotonic() < last:
        time.sleep(LOOK_SECONDS)


def _blind_nodes(ray: Any, folder: Path, nodes: list[Any]) -> list[str]:
    """Let every node look for a file that is written into the folder. Returns the nodes that do not find it."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    probe = temporary_of(folder / "seen")
    try:
        probe.write_text("seen", encoding="ascii")
        asked = {}
        for node in nodes:
            strategy = NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)
            task = ray.remote(_sees).options(num_cpus=0, scheduling_strategy=strategy, max_retries=0)
            asked[task.remote(str(probe))] = node["NodeManagerHostname"]
        ended, _ = ray.wait(list(asked), num_returns=len(asked), timeout=PROBE_SECONDS)
        blind = []
        for task, name in asked.items():
            try:
                if task in ended and not ray.get(task):  # a node without an answer in time is busy, not blind
                    blind.append(name)
            except ray.exceptions.RayTaskError as error:
                raise CrossliftError(
                    f"A node of the Ray cluster ({name}) cannot start crosslift: {error}. Install the same version of "
                    "crosslift and Python on all nodes."
                ) from error
            except ray.exceptions.RayError:  # the node is being lost; other nodes execute the work
                continue
        return blind
    finally:
        probe.unlink(missing_ok=True)


def _sees(file: str) -> bool:
    return Path(file).is_file()


__all__ = ["OPTIONS", "cancel", "launch", "look", "problems", "submit"]
