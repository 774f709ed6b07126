"""The cluster of Ray as a start sees it: connection, what a task asks for, actors, nodes that do not see a folder."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crosslift.errors import CrossliftError
from crosslift.execution.workers.queue import Record
from crosslift.execution.workers.resources import Need
from crosslift.extras import optional
from crosslift.system.files import temporary_of

NAMESPACE = "crosslift"
ANSWER_SECONDS = 60.0
CONNECT_SECONDS = 10.0
PROBE_SECONDS = 120.0
"""A node first starts a process, which takes a minute where much else runs."""
LOOK_SECONDS = 0.5


def asked_of_ray(need: Need) -> dict[str, float]:
    """Return what a task asks for, in the words of Ray."""
    asked: dict[str, float] = {"CPU": need.job_cores}
    if need.job_gpus:
        asked["GPU"] = need.job_gpus
    if need.job_memory_gb is not None:
        asked["memory"] = need.job_memory_gb * 1e9
    return asked


def connect(options: Mapping[str, Any]) -> Any:
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


def actor_of(ray: Any, record: Record) -> Any:
    """Return the actor of a study; None if there is none."""
    try:
        return ray.get_actor(record.name, NAMESPACE)
    except ValueError:
        return None


def wait_until_gone(ray: Any, record: Record) -> None:
    """Wait until an actor that is ending has ended."""
    last = time.monotonic() + ANSWER_SECONDS
    while actor_of(ray, record) is not None and time.monotonic() < last:
        time.sleep(LOOK_SECONDS)


def blind_nodes(ray: Any, folder: Path, nodes: list[Any]) -> list[str]:
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
