"""`crosslift run`: prepare, let an executor work, and put the results together.

Called again it does what is missing. Called twice at the same time, both calls work on the same study without harm,
and both return when it is finished.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from crosslift.discover import member
from crosslift.errors import LeaseHeld, StoreError
from crosslift.execution.folder.provenance import environment
from crosslift.execution.folder.result_tables import rebuild_result_tables, tables_stand
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.steps import RunState
from crosslift.execution.phases.prepare import prepare
from crosslift.execution.workers.job import Job
from crosslift.studies.site import Site
from crosslift.system.leases import Lease, lease_holder

WAIT_SECONDS = 1.0

Say = Callable[[str], None]
Watch = Callable[[Sequence[str]], Callable[[], None]]
"""Given the missing runs, what to call about twice a second while they are worked on."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a start ended."""

    num_runs: int
    num_started: int
    num_evaluated: int
    """Evaluations that have scores, in one language each, of all runs together."""
    failed: dict[str, str]
    """Run -> what went wrong."""
    tables: dict[str, str]
    """Fingerprints of scores.parquet and runs.parquet."""

    @property
    def good(self) -> bool:
        return not self.failed


def run(graph: StepGraph, site: Site, *, site_file: Path | None = None, say: Say, watch: Watch) -> Outcome:
    """Do what is missing of a study.

    Raises:
        StaleStep: finished work disagrees with the study; nothing has been touched.
        CrossliftError: the study cannot be prepared, or workers refuse to work.
    """
    prepare(graph, say=say)
    store = graph.store
    states = graph.states()
    if not tables_stand(graph, states):  # every result is going to be read: what is damaged is better made again now
        states = graph.states(thorough=True)
    said = store.damage_lines()
    for line in said:
        say(line)
    missing = [name for name, state in states.items() if not state.done]
    if missing:
        store.clear_errors(name for name in missing if lease_holder(store.run_folder(name)) is None)
        _finish(
            graph,
            missing,
            Job(
                folder=graph.study.folder,
                site=site,
                site_file=site_file,
                num_runs=len(missing),
                session=secrets.token_hex(8),
                logs=store.logs_folder,
            ),
            watch(missing),
        )
        states = graph.states()
    failed = {}
    for name, state in states.items():
        if state.done:
            _tidy(graph, state)
        else:
            error = store.error(name)
            failed[name] = error["message"] if error else "no worker finished it; run again"
    tables = rebuild_result_tables(graph, states)
    for line in store.damage_lines():
        if line not in said:
            say(line)
    return Outcome(
        num_runs=len(states),
        num_started=len(missing),
        num_evaluated=sum(len(state.results) for state in states.values()),
        failed=failed,
        tables=tables,
    )


def _tidy(graph: StepGraph, state: RunState) -> None:
    """Do for a finished run what a worker that was killed after the last step could not do any more: write down where
    the run was made, and give the lease back."""
    name = state.steps.run.name
    folder = graph.store.run_folder(name)
    if not any(folder.glob("lease.*.json")) or lease_holder(folder) is not None:
        return
    lease = Lease(folder)
    with contextlib.suppress(LeaseHeld, StoreError):  # somebody else tidies; or the folder may only be read
        lease.acquire()
        try:
            made_in = graph.store.provenance(name).get("environment") or environment()
            graph.write_provenance(state.steps, made_in)
        finally:
            lease.release(finished=True)


def _finish(graph: StepGraph, missing: Sequence[str], job: Job, tick: Callable[[], None]) -> None:
    """Launch workers until every missing run is done or has failed, waiting for those that others work on."""
    store = graph.store
    runs = [graph.runs[name] for name in missing]
    executor = member("executor", job.site.executor)
    while True:
        executor.launch(job, tick)
        states = graph.states(runs)
        left = [name for name in missing if not states[name].done and store.error(name) is None]
        elsewhere = [name for name in left if lease_holder(store.run_folder(name)) is not None]
        if not elsewhere:  # a run that no worker took although it could: the caller says so
            return
        while any(lease_holder(store.run_folder(name)) is not None for name in elsewhere):
            tick()
            time.sleep(WAIT_SECONDS)
