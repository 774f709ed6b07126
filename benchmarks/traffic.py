"""How would 10,000 runs on 1,000 GPUs load the shared disk? A simulation of the claims, with counted requests.

    python benchmarks/traffic.py [--runs 10000] [--workers 1000] [--hours 2]

First the calls to the file system are counted that a worker of crosslift makes: for taking a free run, for finding a
run leased or finished, per heartbeat, and for a whole run with a trainer that computes nothing (Python's calls: open,
stat, list, link, rename, remove, utime, sync; a network file system may send more than one message per call). Then a
study is simulated event by event: all workers start within a minute, a run takes a log-normal time, and each worker
looks for its next run as `execution/workers/worker.py` does. A request takes a millisecond.
"""

from __future__ import annotations

import argparse
import builtins
import contextlib
import heapq
import io
import json
import os
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from fake_study import install_fakes, open_graph, write_fake_study

from crosslift.errors import LeaseHeld
from crosslift.execution.folder.progress import INTERVAL_OF_MANY_SECONDS, INTERVAL_SECONDS, ProgressWriter
from crosslift.execution.workers.worker import work
from crosslift.studies.parsing.load import load
from crosslift.system.leases import HEARTBEAT_SECONDS, Lease

CALLS = (
    *("stat", "lstat", "open", "scandir", "listdir", "link", "unlink", "rename", "replace", "utime", "mkdir", "rmdir"),
    "fsync",
)
CHECK_SECONDS = 5.0
REQUEST_SECONDS = 0.001
START_SECONDS = 60.0
LISTING = 40
"""Requests of listing ten thousand notes, a few hundred names per message."""
FREE, LEASED, DONE = 0, 1, 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=1_000)
    parser.add_argument("--hours", type=float, default=2.0, help="mean duration of a run")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        cost = counted(Path(name) / "study")
    print("calls: " + ", ".join(f"{what} {calls:.0f}" for what, calls in cost.items()))
    print("| workers | hours | requests | mean per s | first minute, per s | busiest minute after, per s | searching |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for many in (False, True):
        print(simulate(given.runs, given.workers, given.hours * 3600, cost, many=many), flush=True)


def counted(folder: Path) -> dict[str, float]:
    """What each part of a worker's work costs in calls."""
    install_fakes()
    write_fake_study(folder)
    (folder / "faults.json").write_text(json.dumps({}))
    graph = open_graph(folder)
    run = graph.runs["tiny.en.s0"]
    place = graph.store.run_folder(run.name)
    graph.states()
    cost = {}
    with counting() as calls:
        graph.state(run)
    cost["look at a run that is not begun"] = calls.total()
    with counting() as calls:
        work(load(folder), [run.name])
    whole = calls.total()
    with counting() as calls:
        work(load(folder), [run.name])
    cost["start of a worker"] = calls.total()
    cost["a whole run of one training and three evaluations"] = whole - calls.total()
    with counting() as calls:
        graph.state(run)
    cost["look at a finished run"] = calls.total()
    other = graph.runs["tiny.en.s1"]
    owner = Lease(graph.store.run_folder(other.name))
    owner.acquire()
    with counting() as calls:
        graph.state(other)
        with contextlib.suppress(LeaseHeld):
            Lease(graph.store.run_folder(other.name)).acquire()
    cost["look at a leased run"] = calls.total()
    with counting() as calls:
        owner.check()
    cost["check of the own lease"] = calls.total()
    owner.release()
    writer = ProgressWriter(place, num_evaluations=3)
    with counting() as calls:
        writer.update(phase="training")
    cost["progress"] = calls.total()
    cost["heartbeat"] = 1
    return cost


@contextmanager
def counting() -> Iterator[Counter[str]]:
    """Count the calls to the file system of this thread."""
    calls: Counter[str] = Counter()
    here = threading.get_ident()

    def around(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **options: Any) -> Any:
            if threading.get_ident() == here:
                calls[name] += 1
            return function(*arguments, **options)

        return called

    patches = [mock.patch.object(os, name, around(name, getattr(os, name))) for name in CALLS]
    opened = around("open", io.open)
    patches += [mock.patch.object(io, "open", opened), mock.patch.object(builtins, "open", opened)]
    for patch in patches:
        patch.start()
    try:
        yield calls
    finally:
        for patch in patches:
            patch.stop()


def simulate(num_runs: int, num_workers: int, seconds: float, cost: dict[str, float], *, many: bool) -> str:
    """One study; returns a row of the table. `many`: as the executors that queue work start their workers."""
    chance = np.random.default_rng(0)
    durations = seconds * chance.lognormal(-0.125, 0.5, num_runs)
    state = np.full(num_runs, FREE)
    looks = {
        FREE: cost["look at a run that is not begun"],
        LEASED: cost["look at a leased run"],
        DONE: 0 if many else cost["look at a finished run"],  # noted in a folder that is listed once a minute
    }
    minutes: Counter[int] = Counter()  # requests of the search for runs, by minute
    events: list[tuple[float, int, int]] = []  # time, worker, run that ends; -1: the worker starts
    place = {}
    for worker in range(num_workers):
        start = float(chance.uniform(0, START_SECONDS))
        place[worker] = int(chance.uniform(0, num_runs)) if many else 0
        heapq.heappush(events, (start, worker, -1))
    offset = dict(place)
    scanned = dict.fromkeys(place, 0)
    searched, end = 0.0, 0.0
    while events:
        now, worker, ended = heapq.heappop(events)
        if ended >= 0:
            state[ended] = DONE
            end = max(end, now)
        else:
            minutes[int(now // 60)] += int(cost["start of a worker"])
        first = offset[worker] + scanned[worker]
        order = (first + np.arange(num_runs - scanned[worker])) % num_runs
        free = np.flatnonzero(state[order] == FREE)
        passed = order[: free[0]] if len(free) else order
        requests = LISTING if many else 0.0
        requests += float(sum(looks[kind] * np.count_nonzero(state[passed] == kind) for kind in (LEASED, DONE)))
        if not len(free):  # the second pass over what others hold, and the watch for silent owners
            requests += np.count_nonzero(state == LEASED) * (looks[LEASED] + 4)
        minutes[int(now // 60)] += int(requests)
        searched += requests
        if len(free):
            run = int(order[free[0]])
            scanned[worker] += int(free[0]) + 1
            state[run] = LEASED
            heapq.heappush(events, (now + requests * REQUEST_SECONDS + durations[run], worker, run))
        elif np.any(state == FREE):  # runs before the worker's place that were leased when it passed, and given back
            scanned[worker] = 0
            heapq.heappush(events, (now + requests * REQUEST_SECONDS, worker, -1))
    steady = cost["heartbeat"] / HEARTBEAT_SECONDS + cost["check of the own lease"] / CHECK_SECONDS
    steady += cost["progress"] / (INTERVAL_OF_MANY_SECONDS if many else INTERVAL_SECONDS)
    total = (
        searched
        + steady * float(durations.sum())
        + num_runs * cost["a whole run of one training and three evaluations"]
    )
    total += num_workers * cost["start of a worker"]
    per_second = steady * num_workers
    later = max((count for minute, count in minutes.items() if minute), default=0) / 60 + per_second
    who = "as slurm and ray start them" if many else "as on one machine"
    first = minutes[0] / 60 + per_second
    cells = (who, f"{end / 3600:.1f}", f"{total:,.0f}", f"{total / end:,.0f}", f"{first:,.0f}", f"{later:,.0f}")
    return f"| {' | '.join(cells)} | {searched / total:.1%} |"


if __name__ == "__main__":
    main()
