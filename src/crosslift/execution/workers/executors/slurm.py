"""Workers as jobs of Slurm, submitted as arrays by submitit and asked about by one squeue for all of them.

A job has the resources of a group of models (`[resources]` in site.toml) and executes runs one after another. Before
its time limit, and when it is preempted, Slurm sends a signal: the workers save the states of their runs and end, and
the job is queued again. Slurm itself queues jobs again whose node has failed. Slurm need not keep accounts: what is
queued is asked of squeue, and what is finished is read from the folder, which all nodes must see.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from crosslift.errors import CrossliftError
from crosslift.execution.workers import queue, resources
from crosslift.execution.workers.job import Job
from crosslift.execution.workers.queue import Queue, Record
from crosslift.execution.workers.resources import Group, Need
from crosslift.execution.workers.supervisor import KILL_SECONDS, Supervisor
from crosslift.extras import optional, require
from crosslift.system.mounts import is_local

OPTIONS: dict[str, type] = {
    "partition": str,
    "account": str,
    "qos": str,
    "constraint": str,
    "setup": list,
    "notice_seconds": int,
    "shared_folder": bool,
}

COMMANDS = ("sbatch", "squeue", "scancel", "sinfo", "scontrol", "srun")
DEFAULT_HOURS = 24.0
NOTICE_SECONDS = 120
"""Time between the notice of a job's end and its end. Slurm may send the notice up to a minute early."""
MAX_REQUEUES = 10_000
MAX_ARRAY = 1000
"""Jobs per array; Slurm's default MaxArraySize is 1001."""
ASK_SECONDS = 60.0
WAITING = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "SUSPENDED")

launch = queue.launch


@dataclass
class SlurmJob:
    """What submitit calls in a job, and tells when the job must end."""

    job: Job
    group: Group
    grace_seconds: float
    supervisor: Supervisor | None = field(default=None, repr=False)

    def __call__(self) -> None:
        """Execute runs until none is left."""
        number = os.environ.get("SLURM_JOB_ID", "0")
        name = f"slurm-{number}-{os.environ.get('SLURM_RESTART_COUNT', '0')}"
        self.supervisor = Supervisor(self.job, self.group, name=name, grace_seconds=self.grace_seconds)
        self.supervisor.end_at(signal.SIGTERM)  # preempted without notice, or cancelled
        self.supervisor.run()

    def checkpoint(self) -> Any:
        """End the workers before the job is queued again; called by submitit at the notice."""
        from submitit.core.utils import DelayedSubmission

        if self.supervisor is not None:
            self.supervisor.end()
        return DelayedSubmission(SlurmJob(job=self.job, group=self.group, grace_seconds=self.grace_seconds))


def problems(job: Job) -> list[str]:
    """Return what of the site Slurm would not execute.

    Args:
        job: the work.

    Returns:
        One sentence each.

    Raises:
        MissingPackage: submitit is not installed.
    """
    require("submitit")
    missing = [name for name in COMMANDS if shutil.which(name) is None]
    if missing:
        return [
            f"Slurm's commands are not on this machine ({', '.join(missing)}). Start from a login node of the cluster."
        ]
    found = resources.problems(job)
    nodes = _nodes()
    if not nodes:
        return [*found, "Slurm's controller does not answer (sinfo). Try again, or ask its administrators."]
    partition = job.site.options.get("partition")
    names = sorted({name for node in nodes for name in node.partitions})
    if partition is not None and partition not in names:
        return [*found, f"site.toml, partition: there is no partition '{partition}'. Known: {', '.join(names)}."]
    inside = [node for node in nodes if (partition in node.partitions if partition else node.default)] or nodes
    for group in resources.groups(job):
        found += _too_much(group, inside, partition)
    if not job.site.options.get("shared_folder", False) and is_local(job.results):
        others = _other_machines(inside)
        if others:
            found.append(
                f"{job.results} lies on a disk of this machine, which {', '.join(others[:3])} cannot see. Move the "
                "study to a shared disk, or set shared_folder = true in site.toml if all nodes see it."
            )
    for group in resources.groups(job) if not found else ():
        refusal = _refusal(job, group.need)
        if refusal and refusal not in found:
            found.append(refusal)
    return found


def submit(record: Record, job: Job, wanted: Mapping[int, int]) -> None:
    """Queue one array of jobs per group.

    Args:
        record: names the jobs.
        job: the work.
        wanted: group -> number of jobs.

    Raises:
        CrossliftError: Slurm refuses the jobs.
    """
    with optional():
        import submitit
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    parts = resources.groups(job)
    notice = int(job.site.options.get("notice_seconds", NOTICE_SECONDS))
    for number, count in wanted.items():
        need = parts[number].need
        work = SlurmJob(job=job, group=parts[number], grace_seconds=max(1.0, notice - 2 * KILL_SECONDS))
        executor = submitit.SlurmExecutor(folder=job.logs / "slurm", max_num_timeout=MAX_REQUEUES)
        executor.update_parameters(**_parameters(job, need), job_name=f"{record.name}-{number}", signal_delay_s=notice)
        try:
            for first in range(0, count, MAX_ARRAY):
                size = min(MAX_ARRAY, count - first)
                executor.update_parameters(array_parallelism=size)
                executor.submit_array([work] * size)
        except (FailedJobError, FailedSubmissionError, subprocess.CalledProcessError) as error:
            raise CrossliftError(f"Slurm refuses jobs for {', '.join(parts[number].models)}: {_said(error)}") from error


def look(record: Record) -> Queue | None:
    """Ask squeue once about all jobs of a study.

    Raises:
        CrossliftError: Slurm's commands are not on this machine.
    """
    if shutil.which("squeue") is None:
        raise CrossliftError("Slurm's commands are not on this machine (squeue).")
    text = _ask("squeue", "--noheader", "--array", f"--name={','.join(record.job_names())}", "--format=%j|%T|%r")
    if text is None:
        return None
    running: dict[int, int] = {}
    waiting: dict[int, int] = {}
    reasons: dict[str, None] = {}
    num_held = 0
    for line in text.splitlines():
        name, state, reason = line.split("|", 2)
        waits = state in WAITING
        counts, group = waiting if waits else running, int(name.rpartition("-")[2])
        counts[group] = counts.get(group, 0) + 1
        if waits and reason not in ("None", "Resources", "Priority"):
            reasons[reason] = None
            num_held += "held" in reason.lower()
    return Queue(running=running, waiting=waiting, reasons=tuple(reasons), num_held=num_held)


def cancel(record: Record) -> None:
    """End all jobs of a study, queued or running.

    Raises:
        CrossliftError: Slurm does not do it.
    """
    for name in record.job_names():
        if _ask("scancel", f"--name={name}") is None:
            raise CrossliftError("Slurm's controller does not answer (scancel). Jobs may still run; try again.")


@dataclass(frozen=True)
class _Node:
    name: str
    address: str
    partitions: frozenset[str]
    default: bool
    cores: int
    memory_gb: float
    gpus: int
    hours: float | None


def _nodes() -> list[_Node]:
    """Return the nodes of each partition, one entry per node and partition."""
    text = _ask("sinfo", "--noheader", "--Node", "--format=%N|%o|%P|%c|%m|%G|%l")
    nodes = []
    for line in (text or "").splitlines():
        name, address, partition, cores, memory, gres, limit = (part.strip() for part in line.split("|"))
        nodes.append(
            _Node(
                name=name,
                address=address,
                partitions=frozenset([partition.rstrip("*")]),
                default=partition.endswith("*"),
                cores=int(cores.rstrip("+")),
                memory_gb=int(memory.rstrip("+")) / 1024,
                gpus=sum(int(count) for count in re.findall(r"gpu(?::[^:,()]+)?:(\d+)", gres)),
                hours=_hours(limit),
            )
        )
    return nodes


def _hours(limit: str) -> float | None:
    """Parse Slurm's [days-]hours:minutes:seconds; None without a limit."""
    days, _, clock = limit.rpartition("-")
    numbers = clock.split(":")
    if not all(part.isdecimal() for part in numbers):
        return None
    seconds = 0
    for part in numbers:
        seconds = 60 * seconds + int(part)
    return 24 * int(days or 0) + seconds / 3600


def _too_much(group: Group, nodes: list[_Node], partition: str | None) -> list[str]:
    """Return what a job of a group asks for beyond the largest node of its partition."""
    need, found = group.need, []
    where = f"a node of partition '{partition}'" if partition else "a node of the default partition"
    models = ", ".join(group.models)
    most = {"gpus": max(node.gpus for node in nodes), "cores": max(node.cores for node in nodes)}
    if need.job_gpus > most["gpus"]:
        cpu = ' Set device = "cpu" for nodes without GPUs.' if not most["gpus"] else ""
        found.append(f"{models}: a run needs {need.job_gpus} devices, but {where} has at most {most['gpus']}.{cpu}")
    if need.job_cores > most["cores"]:
        found.append(f"{models}: a job needs {need.job_cores} cores, but {where} has at most {most['cores']}.")
    memory, most_memory = need.job_memory_gb, max(node.memory_gb for node in nodes)
    if memory is not None and memory > most_memory:
        found.append(f"{models}: a job needs {memory:g} GB of memory, but {where} has at most {most_memory:.3g}.")
    limits = [node.hours for node in nodes if node.hours is not None]
    if need.hours is not None and limits and need.hours > max(limits):
        found.append(f"{models}: hours = {need.hours:g} is more than the limit of the partition, {max(limits):.3g}.")
    return found


def _other_machines(nodes: list[_Node]) -> list[str]:
    """Return the nodes that are not this machine."""
    import socket

    here = {socket.gethostname(), socket.gethostname().partition(".")[0], "localhost", "127.0.0.1"}
    return sorted({node.name for node in nodes if node.address not in here and node.name not in here})


def _parameters(job: Job, need: Need) -> dict[str, Any]:
    """Return what a job asks for, in the words of submitit."""
    options = job.site.options
    names = ("partition", "account", "qos", "constraint", "setup")
    chosen: dict[str, Any] = {name: options[name] for name in names if name in options}
    chosen |= {"time": _minutes(job, need), "cpus_per_task": need.job_cores, "nodes": 1, "ntasks_per_node": 1}
    if need.job_gpus:
        chosen["gres"] = f"gpu:{need.job_gpus}"
    if need.job_memory_gb is not None:
        chosen["mem"] = f"{math.ceil(need.job_memory_gb * 1024)}MB"
    chosen["additional_parameters"] = {"requeue": True}
    chosen["srun_args"] = [f"--cpus-per-task={need.job_cores}"]  # since 22.05 srun does not inherit it
    chosen["wckey"] = None
    return chosen


def _minutes(job: Job, need: Need) -> int:
    """Return the time limit of a job in minutes: that of the site, else a day or the limit of the partition."""
    if need.hours is not None:
        return max(1, math.ceil(60 * need.hours))
    partition = job.site.options.get("partition")
    limits = [
        node.hours
        for node in _nodes()
        if node.hours is not None and (partition in node.partitions if partition else node.default)
    ]
    return max(1, math.floor(60 * min([DEFAULT_HOURS, *limits])))


def _refusal(job: Job, need: Need) -> str:
    """Ask Slurm whether it would accept a job, without queueing it. Returns its answer if not."""
    given = _parameters(job, need)
    names = {"cpus_per_task": "cpus-per-task", "ntasks_per_node": "ntasks-per-node"}
    ours = ("additional_parameters", "srun_args", "setup", "wckey")
    flags = [f"--{names.get(name, name)}={value}" for name, value in given.items() if name not in ours]
    command = ["sbatch", "--test-only", *flags, "--wrap=true"]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=ASK_SECONDS, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"Slurm does not answer (sbatch --test-only): {error}"
    return "" if ended.returncode == 0 else f"Slurm refuses such a job: {ended.stderr.strip()} ({' '.join(flags)})"


def _ask(*command: str) -> str | None:
    """Return what a command prints; None if it fails, as it does while the controller is restarted."""
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=ASK_SECONDS, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ended.stdout if ended.returncode == 0 else None


def _said(error: Exception) -> str:
    """Return the last lines of what a failed command said."""
    text = str(getattr(error, "stderr", "") or error)
    return " ".join(line.strip() for line in text.splitlines()[-3:])


__all__ = ["OPTIONS", "cancel", "launch", "look", "problems", "submit"]
