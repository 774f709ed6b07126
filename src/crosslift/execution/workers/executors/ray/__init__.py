"""Workers as tasks of a Ray cluster, kept in number by one detached actor per study.

A task has the resources of a group of models (`[resources]` in site.toml) and executes runs one after another. The
actor replaces tasks whose node or process is lost, waits for leases of lost workers to expire, and ends when no run is
left. It belongs to no start: `crosslift run --detach` returns once the actor works, and Ray starts it again on another
node if its own is lost. All nodes must see the folder; each is asked before anything is queued.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from crosslift.errors import CrossliftError
from crosslift.execution.workers import queue, resources
from crosslift.execution.workers.executors.ray.actor import NOTICE_SECONDS, StudyActor
from crosslift.execution.workers.executors.ray.cluster import (
    ANSWER_SECONDS,
    NAMESPACE,
    actor_of,
    asked_of_ray,
    blind_nodes,
    connect,
    wait_until_gone,
)
from crosslift.execution.workers.job import Job
from crosslift.execution.workers.queue import Queue, Record
from crosslift.extras import require

OPTIONS: dict[str, type] = {"address": str, "notice_seconds": int}

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
        ray = connect(job.site.options)
    except CrossliftError as error:
        return [*found, str(error)]
    nodes = [node for node in ray.nodes() if node["Alive"]]
    for group in resources.groups(job):
        need, models = group.need, ", ".join(group.models)
        asked = asked_of_ray(need)
        if not any(all(node["Resources"].get(name, 0) >= much for name, much in asked.items()) for node in nodes):
            words = ", ".join(f"{much:g} {name}" for name, much in asked.items())
            most = {name: max(node["Resources"].get(name, 0) for node in nodes) for name in asked}
            cpu = ' Set device = "cpu" for nodes without GPUs.' if need.gpus and not most.get("GPU") else ""
            have = ", ".join(f"{much:g} {name}" for name, much in most.items())
            found.append(f"{models}: a run needs {words}, but no node has that; the largest have {have}.{cpu}")
    blind = blind_nodes(ray, job.folder, nodes)
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
    ray = connect(record.options)
    try:
        _submit(ray, record, job, dict(wanted))
    except ray.exceptions.RayError as error:
        raise CrossliftError(
            f"Ray does not start the actor of the study ({error}). See: ray status; then start again."
        ) from error


def _submit(ray: Any, record: Record, job: Job, wanted: dict[int, int]) -> None:
    actor = actor_of(ray, record)
    if actor is not None:
        with contextlib.suppress(ray.exceptions.ActorDiedError):
            if ray.get(actor.extend.remote(job, wanted), timeout=ANSWER_SECONDS):
                return
        wait_until_gone(ray, record)
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
    ray = connect(record.options)
    try:
        actor = actor_of(ray, record)
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
    ray = connect(record.options)
    actor = actor_of(ray, record)
    if actor is None:
        return
    with contextlib.suppress(ray.exceptions.RayError):  # it ends with its node, or is killed next
        ray.get(actor.stop.remote(), timeout=ANSWER_SECONDS + NOTICE_SECONDS)
    ray.kill(actor, no_restart=True)


__all__ = ["OPTIONS", "cancel", "launch", "look", "problems", "submit"]
