"""`crosslift run`: prepares a study, launches workers through an executor, and builds the result tables.

A repeated call executes only the missing work. Concurrent calls share the work on the study, and both return when it is
finished.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from crosslift.discover import member, members
from crosslift.errors import LeaseHeld, StoreError, StudyError
from crosslift.execution.folder.result_tables import rebuild_result_tables, tables_are_current
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.steps import RunState
from crosslift.execution.inspection.finished import remove_notes
from crosslift.execution.phases.prepare import prepare
from crosslift.execution.workers.job import Job
from crosslift.execution.workers.queue import queue_work, scheduler
from crosslift.execution.workers.resources import with_devices
from crosslift.execution.workers.tracking import unavailable
from crosslift.studies.site import Site
from crosslift.system.environment import environment
from crosslift.system.files import remove_leftovers
from crosslift.system.leases import Lease, lease_holder

WAIT_SECONDS = 1.0

Say = Callable[[str], None]
Watch = Callable[[Sequence[str]], Callable[[], None]]
"""Receives the missing runs and returns a callback that is called about twice a second during the work."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Result of `run`."""

    num_runs: int
    num_started: int
    num_evaluated: int
    """Number of evaluations in one language that have scores, over all runs."""
    failed: dict[str, str]
    """Run -> error message."""
    tables: dict[str, str]
    """Fingerprints of scores.parquet and runs.parquet."""

    @property
    def good(self) -> bool:
        """Whether no run failed."""
        return not self.failed


def run(graph: StepGraph, site: Site, *, site_file: Path | None = None, say: Say, watch: Watch) -> Outcome:
    """Execute the missing work of a study.

    Args:
        graph: the steps of the study.
        site: where and how the work is executed.
        site_file: the site's file, passed on to the workers.
        say: called with each line of progress.
        watch: creates the callback that displays the progress.

    Returns:
        Numbers of runs, failures and fingerprints of the result tables.

    Raises:
        NotPrepared: the study file was edited during the work; finished results are kept.
        CrossliftError: the study cannot be prepared, or the workers cannot run.
    """
    if graph.store.lock_if_intact() is None:  # before the time that preparing takes
        _expect_possible(graph, site, site_file)
    prepare(graph, say=say)
    return execute(graph, site, site_file=site_file, say=say, watch=watch)


def execute(
    graph: StepGraph,
    site: Site,
    *,
    runs: Sequence[str] = (),
    site_file: Path | None = None,
    say: Say,
    watch: Watch,
) -> Outcome:
    """Execute the missing work of a prepared study; arguments, result and errors as for `run`.

    Args:
        graph: the steps of the study.
        site: where and how the work is executed.
        runs: names of the runs to execute; empty for all.
        site_file: the site's file, passed on to the workers.
        say: called with each line of progress.
        watch: creates the callback that displays the progress.
    """
    store = graph.store
    chosen = list(runs or graph.runs)
    remove_leftovers(store.finished_folder)
    states = graph.states()
    if not tables_are_current(graph, states):  # every result will be read: damaged steps are better run again now
        states = graph.states(thorough=True)
    reported = store.damage_lines()
    for line in reported:
        say(line)
    missing = [name for name in chosen if not states[name].done or states[name].kept_aside]
    if missing:
        _expect_possible(graph, site, site_file)
        remove_notes(store, missing)
        for line in unavailable(site.trackers):
            say(line)
        store.clear_errors(name for name in missing if lease_holder(store.run_folder(name)) is None)
        job = _job(graph, site, site_file, missing)
        _finish(graph, missing, replace(job, runs=tuple(missing)) if runs else job, watch(missing))
        states = graph.states()
    failed = {}
    for name in chosen:
        if states[name].done:
            _tidy(graph, states[name])
        else:
            error = store.error(name)
            failed[name] = error["message"] if error else "no worker finished the run. Start again"
    tables = rebuild_result_tables(graph, states)
    for line in store.damage_lines():
        if line not in reported:
            say(line)
    return Outcome(
        num_runs=len(chosen),
        num_started=len(missing),
        num_evaluated=sum(len(state.results) for state in states.values()),
        failed=failed,
        tables=tables,
    )


def run_detached(graph: StepGraph, site: Site, *, site_file: Path | None = None, say: Say) -> str:
    """Prepare a study and queue its missing work, without waiting for it.

    Args:
        graph: the steps of the study.
        site: where and how the work is executed.
        site_file: the site's file, passed on to the workers.
        say: called with each line of progress.

    Returns:
        What is queued, in words.

    Raises:
        StudyError: the executor does not queue work, or the site cannot work; nothing was queued.
        CrossliftError: the study cannot be prepared, or the scheduler refuses the work.
    """
    if scheduler(site.executor) is None:
        known = [name for name in members("executor") if scheduler(name) is not None]
        raise StudyError(
            [
                f"--detach: the executor '{site.executor}' does not queue work. Use one of: {', '.join(known)}, or "
                "start crosslift run in a terminal multiplexer."
            ]
        )
    _expect_possible(graph, site, site_file)
    prepare(graph, say=say)
    store = graph.store
    missing = [name for name, state in graph.states().items() if not state.done or state.kept_aside]
    if not missing:
        return f"Nothing to do: all {len(graph.runs)} runs are done."
    store.clear_errors(name for name in missing if lease_holder(store.run_folder(name)) is None)
    remove_notes(store, missing)
    return f"{len(missing)} runs are left. {queue_work(_job(graph, site, site_file, missing))}"


def _expect_possible(graph: StepGraph, site: Site, site_file: Path | None) -> None:
    """Let the executor say what of the site cannot work, before anything is written or queued."""
    problems = getattr(member("executor", site.executor), "problems", None)
    found = [] if problems is None else problems(_job(graph, site, site_file, list(graph.runs)))
    if found:
        raise StudyError(found)


def _job(graph: StepGraph, site: Site, site_file: Path | None, missing: Sequence[str]) -> Job:
    counts = Counter(graph.runs[name].model.name for name in missing)
    return Job(
        folder=graph.study.folder.absolute(),
        site=with_devices(graph.study, site),
        site_file=None if site_file is None else site_file.absolute(),
        num_runs=len(missing),
        session=secrets.token_hex(8),
        logs=graph.store.logs_folder.absolute(),
        models={model: counts[model] for model in graph.study.models},
    )


def _tidy(graph: StepGraph, state: RunState) -> None:
    """Write the provenance and release the lease of a finished run whose worker was killed after the last step."""
    name = state.steps.run.name
    folder = graph.store.run_folder(name)
    if not any(folder.glob("lease.*.json")) or lease_holder(folder) is not None:
        return
    lease = Lease(folder)
    with contextlib.suppress(LeaseHeld, StoreError):  # another process does this, or the folder is read-only
        lease.acquire()
        try:
            made_in = graph.store.provenance(name).get("environment") or environment()
            graph.write_provenance(state.steps, made_in)
        finally:
            lease.release(finished=True)


def _finish(graph: StepGraph, missing: Sequence[str], job: Job, tick: Callable[[], None]) -> None:
    """Launch workers until every missing run is done or has failed, and wait for runs that other processes lease."""
    store = graph.store
    runs = [graph.runs[name] for name in missing]
    executor = member("executor", job.site.executor)
    while True:
        executor.launch(job, tick)
        states = graph.states(runs)
        left = [name for name in missing if not states[name].done and store.error(name) is None]
        elsewhere = [name for name in left if lease_holder(store.run_folder(name)) is not None]
        if not elsewhere:  # the caller reports runs that no worker executed
            return
        while any(lease_holder(store.run_folder(name)) is not None for name in elsewhere):
            tick()
            time.sleep(WAIT_SECONDS)
