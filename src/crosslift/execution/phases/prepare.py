"""Preparation of corpora, tokens and mixtures: everything that needs the network or is shared by runs.

Prepared data follow the study: after a change of `max_items` the corpus is read again, and its tokens and mixtures are
made again. What was prepared for an earlier definition of the study is moved to `earlier/` together with the results
that depend on it, and moved back when the study asks for it again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from crosslift.errors import LeaseHeld, NotPrepared, StoreError, StudyError
from crosslift.execution.definitions.changes import changes, sentences
from crosslift.execution.definitions.provisional import ProvisionalGraph
from crosslift.execution.definitions.reconcile import reconcile, set_aside_prepared
from crosslift.execution.definitions.records import present_definition, record_definition, record_study_file
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.phases.data_checks import (
    check_joined,
    check_lengths,
    check_origins,
    check_policies,
    limited_data,
)
from crosslift.execution.phases.prepared_data import make_corpora, make_mixtures, make_tokens
from crosslift.execution.phases.run_records import write_manifests, write_runs
from crosslift.system.files import remove_leftovers
from crosslift.system.leases import waiting_lease

Say = Callable[[str], None]


def prepare(graph: StepGraph, *, say: Say) -> None:
    """Create the missing corpora, tokens and mixtures, and write the records of the runs.

    Args:
        graph: the steps of the study.
        say: called with each line of progress.

    Raises:
        CorpusError, MixtureError, TemplateError, StudyError: the study or its data are invalid; examples that are
            longer than `max_length`, and findings of a check with the policy "stop", are among the errors.
    """
    if is_prepared(graph):
        check_policies(graph)
        _record(graph)
        return
    while True:
        try:
            with waiting_lease(graph.store.folder) as lease:
                if not is_prepared(graph):  # another process may have prepared it while this one waited
                    _prepare(graph, say, lease.check)
            return
        except LeaseHeld:  # another process took over while this one was suspended: check its results
            continue


def _record(graph: StepGraph) -> None:
    """Record the definition of a prepared study if a process was killed before it did so, and edits that change no run.
    Nothing depends on it, so a folder that cannot be written, such as an archive, is no error."""
    present = present_definition(graph.store)
    with contextlib.suppress(StoreError):
        if present is not None:
            record_study_file(graph, present.folder)
            return
        with waiting_lease(graph.store.folder):
            record_definition(graph, superseded=None)


def _prepare(graph: StepGraph, say: Say, check: Callable[[], None]) -> None:
    """Prepare the study under a lease. `check` raises `LeaseHeld` if another process has taken the lease over."""
    for kind in ("corpora", "tokens", "mixtures"):
        remove_leftovers(graph.store.folder / kind, below=True)
    if limited := limited_data(graph):
        raise StudyError(limited)
    set_aside_prepared(graph)
    make_corpora(graph, say, check)
    check_policies(graph)
    check_joined(graph, say=say)
    check_origins(graph, say=say)
    make_tokens(graph, say, check)
    make_mixtures(graph, say, check)
    check_lengths(graph, say=say)
    write_manifests(graph)
    check()
    _runs(graph, say)
    graph.hashes.save()


def _runs(graph: StepGraph, say: Say) -> None:
    """Move the results of changed runs, and write the records of all runs."""
    store = graph.store
    lock = store.lock_if_intact()
    recorded: dict[str, Any] = {} if lock is None else lock["runs"]
    superseded = present_definition(store)
    if any(store.has_results(name) for name in recorded):
        edited = changes(graph)
        if edited.staying:
            superseded = None  # it stays addressable
        if edited:
            say(f"study.toml has changed: {', '.join(sentences(edited))}.")
    reconcile(graph, recorded)
    write_runs(graph)
    record_definition(graph, superseded=superseded)


def is_prepared(graph: StepGraph) -> bool:
    """Return whether all prepared steps are done and lock.json matches the study."""
    lock = graph.store.lock_if_intact()
    try:
        if lock is None or not all(step.done() for step in graph.prepared_steps()):
            return False
    except (NotPrepared, StoreError):  # a corpus is prepared from other inputs, or its marker is damaged
        return False
    if not all(graph.is_recorded(run, lock["runs"]) for run in graph.runs.values()) or lock["runs"].keys() - graph.runs:
        return False
    return all(graph.store.run_is_recorded(name, record) for name, record in lock["runs"].items())


def require_prepared(graph: StepGraph) -> None:
    """Check that the prepared data and lock.json match the study file, for commands that only read results.

    Raises:
        NotPrepared: the study file was edited; the message says what changes.
        StoreError: the study has not been prepared.
    """
    graph.store.lock()
    if is_prepared(graph):
        return
    edited = sentences(changes(ProvisionalGraph(graph)))
    if edited:  # otherwise files are damaged, which the commands report when they read them
        raise NotPrepared(
            f"study.toml has changed since the study was run: {', '.join(edited)}. "
            f"Run: crosslift run {graph.study.folder}"
        )
