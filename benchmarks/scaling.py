"""How long do `plan`, `status` and a restart take on studies of 2,000 and 20,000 runs, and how much memory?

    python benchmarks/scaling.py FOLDER [--runs 2000 20000]

The studies are generated below FOLDER (which should lie on a fast disk, such as /dev/shm): 40 mixtures with 50 and 500
seeds, each run trained and evaluated in two languages. Preparing is real, results are made up. Each command is a
process of its own; time and memory include the start of Python. A study that exists is not generated again.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

import finished_study

from crosslift.execution.folder import result_tables
from crosslift.execution.folder import steps as steps_module
from crosslift.execution.folder.checksums import record_of, write_sealed
from crosslift.execution.folder.progress import Progress
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.store import Store
from crosslift.execution.folder.tables import write_table
from crosslift.execution.inspection.finished import FILE, definition_key
from crosslift.execution.inspection.status import note_finished
from crosslift.studies.parsing.load import load
from crosslift.system import files
from crosslift.system.files import write_json

NUM_MIXTURES = 40
TAGS = ("en", "sw")
NUM_ITEMS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, nargs="*", default=[2000, 20000])
    parser.add_argument("--only", choices=["begun", "finished"], help="only studies in this state")
    given = parser.parse_args()
    print("| runs | state | command | seconds | of a core | memory (MiB) |\n|---:|---|---|---:|---:|---:|", flush=True)
    for num_runs in given.runs:
        for state in ("begun", "finished"):
            if given.only in (None, state):
                folder = given.folder / f"{state}-{num_runs}"
                if not (folder / "generated").exists():
                    generate(folder, num_runs, finished=state == "finished")
                (folder / FILE).unlink(missing_ok=True)  # what an earlier look has verified
                commands = ["status", "status", "plan"] + (["run"] if state == "finished" else [])
                for command in commands:
                    seconds, core_seconds, memory = measure(command, folder)
                    row = (
                        f"{num_runs:,}",
                        state,
                        f"`{command}`",
                        f"{seconds:.2f}",
                        f"{core_seconds:.2f}",
                        f"{memory:.0f}",
                    )
                    print(f"| {' | '.join(row)} |", flush=True)


def generate(folder: Path, num_runs: int, *, finished: bool, notes: bool = True) -> None:
    """Write a study whose runs are all finished, or none. Every finished run has copies of the same tables: none of the
    commands reads them. `notes`: whether workers have noted the runs that they finished, as they do."""
    begun = time.monotonic()
    quick = (  # the disk of a benchmark need not survive a power failure
        mock.patch.object(finished_study, "NUM_ITEMS", NUM_ITEMS),
        mock.patch.object(finished_study, "_finish", lambda *_: None),
        mock.patch.object(steps_module, "sync_folder", lambda folder: None),
        mock.patch.object(files, "_sync", lambda path: None),
    )
    with contextlib.ExitStack() as stack:
        for one in quick:
            stack.enter_context(one)
        finished_study.write_finished_study(
            folder, num_mixtures=NUM_MIXTURES, num_seeds=num_runs // NUM_MIXTURES, tags=TAGS
        )
        if finished:
            graph = StepGraph(load(folder), Store(folder))
            finish(graph, notes=notes)
            states = graph.states()
            tables = result_tables._made_of(states)
            for file in (graph.store.scores_file, graph.store.runs_file):
                file.write_bytes(b"rebuilt from the runs")
            records = {file.name: record_of(file) for file in (graph.store.scores_file, graph.store.runs_file)}
            write_sealed(folder / result_tables.REBUILT, {**tables, "files": records})
            step = result_tables.report_step(graph.study, graph.store, tables)
            step.begin()
            (step.folder / "index.html").write_text("<p>a report")
            step.finish()
    (folder / "generated").touch()
    print(f"generated {folder.name} in {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)


def finish(graph: StepGraph, *, notes: bool) -> None:
    """Finish every step of every run, and note it, as workers do."""
    key, recorded = definition_key(graph), graph.store.lock()["runs"]
    made = graph.store.folder / "made"
    made.mkdir()
    write_table(made / "metrics.parquet", finished_study._metrics())
    write_table(made / "predictions.parquet", finished_study._predictions("en"))
    write_table(made / "scores.parquet", finished_study._scores("run", "math", "en", lambda *_: True))
    content = {file.name: file.read_bytes() for file in made.iterdir()}
    for run in graph.runs.values():
        steps = graph.steps(run)
        for step in steps.steps():
            step.folder.mkdir(parents=True)
            names = ["metrics.parquet"] if step is steps.train else ["predictions.parquet", "scores.parquet"]
            for name in names:
                (step.folder / name).write_bytes(content[name])
            outputs = (
                {"num_tokens": 1000} if step is steps.train else {"scores": "0", "num_samples": 2, "num_errors": 0}
            )
            step.finish(seconds=1.0, **outputs)
        progress = Progress(phase="done", step=7, num_steps=7, evaluations=2, num_evaluations=2, loss=1.0)
        write_json(graph.store.run_folder(run.name) / "progress.json", asdict(progress), durable=False)
        if notes:
            note_finished(graph, run, recorded, key=key)


SMALL = """
import os, subprocess, sys, time
begun = time.monotonic()
process = subprocess.Popen(sys.argv[1:], stdout=sys.stderr)
_, status, usage = os.wait4(process.pid, 0)
print(os.waitstatus_to_exitcode(status), time.monotonic() - begun, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
"""
"""Starts a command and prints its cost. The memory of a process counts from that of the process that started it, so it
is started by a small one."""


def measure(command: str, folder: Path) -> tuple[float, float, float]:
    """Seconds, seconds of a core and MiB of one command."""
    ended = subprocess.run(
        [sys.executable, "-S", "-c", SMALL, sys.executable, "-m", "crosslift", command, str(folder)],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1] / "src")},
    )
    code, seconds, core_seconds, memory = map(float, ended.stdout.split())
    assert code == 0, ended.stderr[-2000:]
    assert command != "run" or "Nothing to do" in ended.stderr, ended.stderr[-2000:]
    return seconds, core_seconds, memory * (1 if sys.platform == "darwin" else 1024) / 2**20


if __name__ == "__main__":
    main()
