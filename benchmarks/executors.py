"""Does a study end in the same bytes on Slurm and on Ray whatever happens? Faults, one per case, on real engines.

    python benchmarks/executors.py FOLDER --engine slurm [--cases 27] [--kinds worker node ...]
    python benchmarks/executors.py FOLDER --table

Each case begins with a prepared study of five runs (fake trainer and generator, trainings of a second), queues it,
waits until a run is being trained, and meets one fault. Then the study is started again until it is complete. Its
scores.parquet is compared with that of one machine, and every step that was finished when the fault struck must be
untouched. What is done stands in FOLDER/cases.jsonl, so a second call goes on where the first one stopped.

How faults are made: a worker, a task or a daemon is killed by SIGKILL; the time limit is that of a job of one minute on
Slurm, whose notice comes early, and the site's timeout_seconds on Ray; an urgent job preempts; the controller is
slurmctld, and on Ray the actor of the study; the folder is renamed for `--unreachable` seconds, so that every access
fails. Slurm needs root, see tools/slurm_cluster.py.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

import engines
import slurm_cluster
from engines import detach, finish, slowly, trained, until
from fake_study import install_fakes, open_graph, write_fake_study

from crosslift.errors import CrossliftError
from crosslift.execution.folder.result_tables import rebuild_result_tables
from crosslift.execution.workers.executors import ray as ray_executor
from crosslift.execution.workers.queue import cancel, read_record
from crosslift.execution.workers.worker import work
from crosslift.studies.parsing.load import load

SITE = 'device = "cpu"\nnum_workers = 2\nnotice_seconds = 10\n'
MAX_STARTS = 6
RAY_LIMIT_SECONDS = 20
"""Longer than a worker takes to start on a machine that does much else."""
COUNTED = ("cases", "completed", "same bytes", "computed again", "starts")


class Case:
    """A study on an engine, and what was finished when the fault struck."""

    def __init__(self, study: Path, engine: str, cluster: Any, number: int, unreachable: float) -> None:
        self.study, self.engine, self.cluster = study, engine, cluster
        self.chance = random.Random(f"{engine} {number}")
        self.unreachable = unreachable
        self.finished: dict[str, int] = {}

    def begin(self) -> None:
        """Queue the study and wait until some runs are under way."""
        detach(self.study)
        wanted = self.chance.randint(1, 3)
        until(lambda: len(trained(self.study)) >= wanted, seconds=120)
        time.sleep(self.chance.uniform(0, 1))

    def look(self) -> None:
        """Remember the steps that are finished now."""
        self.finished = marks(self.study)

    def workers(self) -> list[int]:
        return processes(f"crosslift\0work\0{self.study}")


def marks(study: Path) -> dict[str, int]:
    """Done-marker -> when it was written."""
    found = {}
    for file in study.glob("runs/*/**/done.json"):
        with contextlib.suppress(OSError):
            found[str(file.relative_to(study))] = file.stat().st_mtime_ns
    return found


def processes(part: str) -> list[int]:
    """Processes whose command line holds a text."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if part.encode() in file.read_bytes() and int(file.parent.name) != os.getpid():
                found.append(int(file.parent.name))
    return found


def kill(pids: list[int], number: signal.Signals = signal.SIGKILL) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def worker_killed(case: Case) -> None:
    case.begin()
    case.look()
    kill(case.workers()[:1])


def job_killed(case: Case) -> None:
    """All processes of a job: the one of submitit or of Ray's task, and its worker."""
    case.begin()
    case.look()
    parts = {"slurm": "submitit.core._submit", "ray": "ray::ray-"}
    kill(processes(parts[case.engine])[:1])


def node_killed(case: Case) -> None:
    case.begin()
    case.look()
    if case.engine == "slurm":
        kill([slurm_cluster.pid_of(case.cluster, "node1") or 0])
        time.sleep(case.chance.uniform(0, 3))
        slurm_cluster.start_node(case.cluster, 1)
    else:
        import ray

        ours = ray.get_runtime_context().get_node_id()  # the node that this process is connected to
        lost = next(node for node in case.cluster.worker_nodes if node.node_id != ours)
        case.cluster.remove_node(lost, allow_graceful=False)
        case.cluster.add_node(num_cpus=2, object_store_memory=engines.RAY_MEMORY)


def time_limit(case: Case) -> None:
    site = case.study / "site.toml"
    before = site.read_text()
    if case.engine == "slurm":
        site.write_text(before.replace("= 10", "= 55") + "\n[resources.default]\nhours = 0.016\n")
        slowly(case.study, 8.0)
    else:
        site.write_text(f"timeout_seconds = {RAY_LIMIT_SECONDS}\n{before}")
        slowly(case.study, 2 * RAY_LIMIT_SECONDS)
    case.begin()
    case.look()
    if case.engine == "slurm":  # it gives notice of the end of the job, which is queued again
        until(lambda: list((case.study / "logs").glob("slurm-*-1-worker-0.txt")), seconds=150)
    else:
        time.sleep(RAY_LIMIT_SECONDS)
    slowly(case.study, 0.3)


def preempted(case: Case) -> None:
    case.begin()
    case.look()
    if case.engine == "slurm":
        nodes = "--nodes=2 --ntasks-per-node=1 --cpus-per-task=2 --mem=100 --partition=urgent --output=/dev/null"
        subprocess.run(["sbatch", *nodes.split(), "--wrap=sleep 3"], check=True, capture_output=True)
        time.sleep(6)
    else:  # Ray has no preemption: SIGTERM, as from a machine that is taken away
        kill(case.workers(), signal.SIGTERM)


def cancelled(case: Case) -> None:
    case.begin()
    case.look()
    if case.chance.random() < 0.5:
        cancel(case.study)
    elif case.engine == "slurm":
        subprocess.run(["scancel", f"--name={','.join(read_record(case.study).job_names())}"], check=True)
    else:
        import ray

        ray.kill(ray.get_actor(read_record(case.study).name, ray_executor.NAMESPACE), no_restart=True)


def controller_restarted(case: Case) -> None:
    case.begin()
    case.look()
    if case.engine == "slurm":
        kill([slurm_cluster.pid_of(case.cluster, "slurmctld") or 0])
        time.sleep(case.chance.uniform(0.2, 3))
        slurm_cluster.start_controller(case.cluster)
        slurm_cluster.wait_until_idle(case.cluster, 2)
    else:
        import ray

        ray.kill(ray.get_actor(read_record(case.study).name, ray_executor.NAMESPACE), no_restart=False)


def submitter_killed(case: Case) -> None:
    start = subprocess.Popen(
        [sys.executable, "-m", "crosslift", "run", str(case.study)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(case.chance.uniform(0.5, 8))
    case.look()
    start.kill()
    start.wait()


def folder_unreachable(case: Case) -> None:
    case.begin()
    case.look()
    away = case.study.with_name("away")
    case.study.rename(away)
    time.sleep(case.unreachable)
    shutil.rmtree(case.study, ignore_errors=True)  # what a scheduler wrote in its place
    away.rename(case.study)


def two_submissions(case: Case) -> None:
    command = [sys.executable, "-m", "crosslift", "run", str(case.study), "--detach"]
    starts = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [start.communicate()[0] for start in starts]
    assert sum("already queued" in one or "Nothing to do" in one for one in said) == 1, said
    case.look()


KINDS: dict[str, Callable[[Case], None]] = {
    "a worker killed": worker_killed,
    "a job killed": job_killed,
    "a node killed and brought back": node_killed,
    "time limit reached": time_limit,
    "preempted": preempted,
    "cancelled by hand": cancelled,
    "controller restarted": controller_restarted,
    "submitting process killed": submitter_killed,
    "folder unreachable": folder_unreachable,
    "two submissions at once": two_submissions,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--engine", choices=["slurm", "ray"])
    parser.add_argument("--cases", type=int, default=30, help="cases of the engine, the kinds in turn")
    parser.add_argument("--kinds", nargs="*", default=[], help="only kinds whose names hold one of these words")
    parser.add_argument("--unreachable", type=float, default=60.0, help="seconds without the folder")
    parser.add_argument("--table", action="store_true", help="print the table of what is done, and stop")
    given = parser.parse_args()
    given.folder = given.folder.resolve()
    given.folder.mkdir(parents=True, exist_ok=True)
    record = given.folder / "cases.jsonl"
    if not given.table:
        run(given, record)
    print(table(read(record)))


def run(given: argparse.Namespace, record: Path) -> None:
    """Do every case that the record does not hold."""
    os.environ["PYTHONPATH"] = engines.SOURCES
    install_fakes()
    fresh = given.folder / "fresh"
    if not fresh.is_dir():
        write_fake_study(fresh)
    expected = reference(given.folder)
    done = {(row["engine"], row["number"]) for row in read(record)}
    with contextlib.ExitStack() as stack:
        if given.engine == "slurm":
            cluster: Any = stack.enter_context(engines.slurm(given.folder / "cluster"))
            site = f'executor = "slurm"\n{SITE}'
        else:
            cluster = stack.enter_context(engines.ray(num_nodes=3))
            site = f'executor = "ray"\naddress = "{cluster.address}"\n{SITE}'
        for number in range(given.cases):
            kind = list(KINDS)[number % len(KINDS)]
            chosen = not given.kinds or any(word in kind for word in given.kinds)
            if (given.engine, number) in done or not chosen:
                continue
            study = given.folder / "case" / "study"
            shutil.rmtree(study.parent, ignore_errors=True)
            shutil.copytree(fresh, study)
            (study / "site.toml").write_text(site)
            slowly(study)
            row = one_case(Case(study, given.engine, cluster, number, given.unreachable), kind, expected)
            row |= {"engine": given.engine, "number": number, "kind": kind}
            with record.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            print(json.dumps(row), flush=True)


def one_case(case: Case, kind: str, expected: bytes) -> dict[str, Any]:
    """Let the fault strike, and start the study until it is complete."""
    begun = time.monotonic()
    notes = []
    KINDS[kind](case)
    completed, starts = 0, 0
    while not completed and starts < MAX_STARTS:
        starts += 1
        try:
            finish(case.study)
            completed = 1
        except (AssertionError, CrossliftError) as error:
            notes.append(str(error)[:300])
            if "holds all jobs" in str(error):  # as the message says
                slurm_cluster.resume(case.cluster)
                cancel(case.study)
    after = marks(case.study)
    again = [mark for mark, when in case.finished.items() if after.get(mark) != when]
    scores = case.study / "scores.parquet"
    same = int(scores.is_file() and scores.read_bytes() == expected)
    with contextlib.suppress(CrossliftError):
        cancel(case.study)
    return {
        "completed": completed,
        "same bytes": same,
        "computed again": len(again),
        "starts": starts,
        "seconds": round(time.monotonic() - begun, 1),
        "notes": notes,
    }


def reference(folder: Path) -> bytes:
    """scores.parquet of the study on one machine."""
    study = folder / "reference"
    if not (study / "scores.parquet").is_file():
        shutil.rmtree(study, ignore_errors=True)
        shutil.copytree(folder / "fresh", study)
        assert work(load(study))
        graph = open_graph(study)
        rebuild_result_tables(graph, graph.states())
    return (study / "scores.parquet").read_bytes()


def read(record: Path) -> list[dict[str, Any]]:
    """The cases that are done."""
    lines = record.read_text(encoding="utf-8").splitlines() if record.is_file() else []
    return [json.loads(line) for line in lines]


def table(rows: list[dict[str, Any]]) -> str:
    """One line per engine and kind of fault, as Markdown."""
    lines = ["| engine | fault | " + " | ".join(COUNTED) + " |", "|---|---|" + "---:|" * len(COUNTED)]
    for engine in ("slurm", "ray"):
        for kind in (*KINDS, ""):
            found = [row for row in rows if row["engine"] == engine and kind in ("", row["kind"])]
            if found:
                sums = [len(found), *(sum(row[column] for row in found) for column in COUNTED[1:])]
                lines.append(f"| {engine} | {kind or 'all'} | " + " | ".join(map(str, sums)) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
