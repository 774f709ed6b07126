"""A Slurm cluster on one machine, for tests: munged, slurmctld and two or more slurmd, all below one folder.

    python tools/slurm_cluster.py start FOLDER [--nodes 2] [--cores 2] [--gpus 0] [--memory 2000]
    python tools/slurm_cluster.py stop FOLDER
    export SLURM_CONF=FOLDER/slurm.conf     # then sbatch, squeue and crosslift speak to this cluster

Needs root and Debian's packages slurmctld, slurmd, slurm-client and munge (apt-get install slurm-wlm munge). Nothing
outside the folder is read or written: key, sockets, states, process ids and logs lie in it, ports are free ones, and no
service of the system is used. `stop` ends every process that `start` and its jobs left, and removes the folder.

The nodes claim cores and memory that the machine need not have (config_overrides), so that a laptop can pretend to
be four nodes. Partitions: `main` (default), `urgent`, whose jobs preempt those of `main`, and `short`, at most two
minutes.
GPUs (--gpus) are device files that compute nothing, so that requests for them can be tested.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel", "sinfo")
START_SECONDS = 20.0
PATH = os.pathsep.join(("/usr/sbin", "/sbin", os.environ.get("PATH", "")))

CONF = """ClusterName=crosslift
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
SlurmctldPort={port}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_min_interval=0,batch_sched_delay=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
JobRequeue=1
ReturnToService=2
KillWait=5
MinJobAge=30
SlurmdTimeout=10
SlurmctldTimeout=10
InactiveLimit=0
DefMemPerCPU=100
{gres}
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=1-00:00:00 State=UP PriorityTier=1 GraceTime=10
PartitionName=short Nodes=ALL MaxTime=00:02:00 State=UP PriorityTier=1 GraceTime=10
PartitionName=urgent Nodes=ALL MaxTime=1-00:00:00 State=UP PriorityTier=10 PreemptMode=OFF
"""
NODE = "NodeName=node{number} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cores} RealMemory={memory}{gres}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["start", "stop"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--cores", type=int, default=2, help="cores per node")
    parser.add_argument("--gpus", type=int, default=0, help="GPUs per node, which compute nothing")
    parser.add_argument("--memory", type=int, default=2000, help="MB per node")
    given = parser.parse_args()
    if given.what == "stop":
        stop(given.folder)
        return
    why = unavailable()
    if why:
        raise SystemExit(why)
    start(given.folder, nodes=given.nodes, cores=given.cores, gpus=given.gpus, memory=given.memory)
    print(f"export SLURM_CONF={given.folder.resolve()}/slurm.conf")


def unavailable() -> str:
    """Why no cluster can be started here; empty if one can."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]
    if missing:
        return f"{', '.join(missing)} not installed (apt-get install slurm-wlm munge)"
    return "" if os.geteuid() == 0 else "slurmd needs root"


def start(folder: Path, *, nodes: int = 2, cores: int = 2, gpus: int = 0, memory: int = 2000) -> Path:
    """Start all daemons and wait until every node is idle. Returns the path of slurm.conf."""
    folder = folder.resolve()
    for name in ("munge", "state", "spool"):
        (folder / name).mkdir(parents=True)
    (folder / "munge").chmod(0o755)
    key = folder / "munge" / "key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    host = socket.gethostname().partition(".")[0]
    controller, *ports = free_ports(1 + nodes)
    devices = "" if not gpus else f" Gres=gpu:{gpus}"
    lines = [
        NODE.format(number=number, host=host, port=port, cores=cores, memory=memory, gres=devices)
        for number, port in enumerate(ports, 1)
    ]
    conf = folder / "slurm.conf"
    gres = "GresTypes=gpu" if gpus else ""
    conf.write_text(CONF.format(host=host, folder=folder, port=controller, gres=gres, nodes="\n".join(lines)))
    if gpus:
        for number in range(gpus):
            (folder / f"gpu{number}").touch()
        files = f"{folder}/gpu0" if gpus == 1 else f"{folder}/gpu[0-{gpus - 1}]"
        (folder / "gres.conf").write_text(f"Name=gpu File={files}\n")
    try:
        start_munge(folder)
        start_controller(folder)
        for number in range(1, nodes + 1):
            start_node(folder, number)
        wait_until_idle(folder, nodes)
    except BaseException:
        stop(folder)
        raise
    return conf


def start_munge(folder: Path) -> None:
    """Start munged, which authenticates the daemons to each other."""
    place = folder / "munge"
    options = [f"--{name}={place / name.partition('-')[0]}" for name in ("key-file", "socket", "pid-file", "seed-file")]
    _run(folder, "munged", "--force", *options, f"--log-file={place / 'log'}")


def start_controller(folder: Path) -> None:
    """Start slurmctld; it goes on with the jobs of a controller that was stopped."""
    _run(folder, "slurmctld", "-f", str(folder / "slurm.conf"))


def start_node(folder: Path, number: int) -> None:
    """Start the slurmd of a node; it goes on with the jobs of a daemon that was killed."""
    _run(folder, "slurmd", "-f", str(folder / "slurm.conf"), "-N", f"node{number}")


def wait_until_idle(folder: Path, nodes: int) -> None:
    """Wait until every node accepts jobs."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        states = ask(folder, "sinfo", "-h", "-N", "-p", "main", "-o", "%T").split()
        if len(states) == nodes and all(state in ("idle", "mixed", "allocated") for state in states):
            return
        time.sleep(0.2)
    logs = "\n".join(log.read_text(errors="replace")[-1500:] for log in sorted(folder.glob("*.log")))
    raise SystemExit(f"the nodes are not up after {START_SECONDS:.0f} s: {states}\n{logs}")


def resume(folder: Path, nodes: int = 2) -> None:
    """Let nodes accept jobs again that the controller has drained, as it does after a job could not be launched."""
    ask(folder, "scontrol", "update", f"NodeName=node[1-{nodes}]", "State=RESUME")


def ask(folder: Path, *command: str) -> str:
    """Return what a command of Slurm prints; empty if the controller does not answer."""
    ended = subprocess.run(command, env=environment(folder), capture_output=True, text=True)
    return ended.stdout


def environment(folder: Path) -> dict[str, str]:
    """Variables with which the commands of Slurm speak to this cluster."""
    return os.environ | {"SLURM_CONF": str(folder.resolve() / "slurm.conf"), "PATH": PATH}


def pid_of(folder: Path, name: str) -> int | None:
    """Process id of a daemon: slurmctld, node1, node2, munge/pid."""
    with contextlib.suppress(OSError, ValueError):
        return int((folder / (name if "/" in name else f"{name}.pid")).read_text())
    return None


def stop(folder: Path) -> None:
    """End the jobs, their processes and all daemons, and remove the folder."""
    folder = folder.resolve()
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(["scancel", "-u", "root"], env=environment(folder), capture_output=True, timeout=5)
    own = f"SLURM_CONF={folder}/slurm.conf".encode()
    for name in ("slurmctld", *(file.stem for file in folder.glob("node*.pid")), "munge/pid"):
        pid = pid_of(folder, name)
        if pid is not None and _belongs(pid, folder):
            _kill(pid)
    for entry in Path("/proc").glob("[0-9]*"):  # jobs, and steps that outlived their slurmd
        with contextlib.suppress(OSError):
            if own in (entry / "environ").read_bytes().split(b"\0") and int(entry.name) != os.getpid():
                started_here = b"SLURM_JOB_ID=" in (entry / "environ").read_bytes()
                if started_here or b"slurmstepd" in (entry / "cmdline").read_bytes():
                    _kill(int(entry.name))
    shutil.rmtree(folder, ignore_errors=True)


def _belongs(pid: int, folder: Path) -> bool:
    with contextlib.suppress(OSError):
        return str(folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _run(folder: Path, *command: str) -> None:
    ended = subprocess.run(command, env=environment(folder), capture_output=True, text=True, timeout=START_SECONDS)
    if ended.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {ended.returncode}: {ended.stdout}{ended.stderr}")


def free_ports(number: int) -> list[int]:
    """Ports of this machine that nothing listens on."""
    sockets = [socket.socket() for _ in range(number)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


if __name__ == "__main__":
    main()
