"""The closed loop: decide, extend the study, execute the batch, decide again.

The folder of the study is the only state. A call that was killed is continued by the next one: runs of the last batch
that are not finished are executed first, and runs that the study plans are chosen before new ones are made up, so that
a batch that was added to the study file but not to the journal is used as well. Decisions are made under a lease; a
second call of the same question joins the batch of the first.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from crosslift.errors import CrossliftError
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.store import Store
from crosslift.execution.phases.prepare import prepare
from crosslift.execution.workers.launch import Say, Watch, execute
from crosslift.exploring.addition import append_batch, content_of, replace_content
from crosslift.exploring.decide import Ask, Decision, decide
from crosslift.exploring.journal import FOLDER, BatchRun, Entry, read_entries, write_entry
from crosslift.exploring.summary import batch_lines, belief_line
from crosslift.recommendation.acquisition import NextRun
from crosslift.recommendation.advice import Advice
from crosslift.studies.parsing.load import load
from crosslift.studies.site import Site
from crosslift.studies.study import Study
from crosslift.system.leases import waiting_lease
from crosslift.transfer.model.observations import content_key

Display = Callable[[StepGraph], AbstractContextManager[Watch]]
"""Creates what `execute` shows its progress with, for the study as it is now."""


@dataclass(frozen=True, kw_only=True)
class Explored:
    """Result of an exploration."""

    decided: bool
    """Whether the mixture is as sure as was asked; otherwise the data cannot tell within the budget."""
    entry: Entry
    """What is believed at the end."""
    advice: Advice
    """The recommendation on which it rests."""
    failed: dict[str, str]
    """Run of this exploration -> error message."""
    graph: StepGraph
    """The steps of the study as it is now."""


def explore(study: Study, ask: Ask, site: Site, *, site_file: Path | None = None, say: Say, watch: Display) -> Explored:
    """Execute batches of runs until the decision is as sure as was asked or the limits are reached.

    Args:
        study: the study.
        ask: the question, the certainty and the limits.
        site: where and how the runs are executed.
        site_file: the site's file, passed on to the workers.
        say: called with each line of progress.
        watch: creates the display of the progress of a batch, a context manager.

    Raises:
        CrossliftError: the question does not fit the study, the study cannot be prepared or extended, the workers
            cannot run, or every run of a batch failed.
    """
    folder = Store(study.results_folder).folder / FOLDER
    while True:
        with waiting_lease(folder):
            graph = _open(study)
            prepare(graph, say=say)
            decision = decide(graph, ask)
            runs = decision.unfinished
            entry = decision.entry
            if not runs:
                if decision.chosen:
                    graph, entry = _extend(graph, decision, say)
                    runs = tuple(one.run for one in entry.batch)
                if not _is_known(graph.store, entry):
                    write_entry(graph.store, entry)
        say(belief_line(entry))
        if entry.stop:
            messages = {run: (graph.store.error(run) or {}).get("message", "") for run in decision.failed}
            return Explored(decided=entry.decided, entry=entry, advice=decision.advice, failed=messages, graph=graph)
        for line in batch_lines(entry, runs):
            say(line)
        with watch(graph) as watching:
            outcome = execute(graph, site, runs=runs, site_file=site_file, say=say, watch=watching)
        if len(outcome.failed) == len(runs):
            name, message = next(iter(outcome.failed.items()))
            raise CrossliftError(
                f"every run of the batch failed, so nothing was learnt. {name}: {message} When the cause is removed, "
                "run: crosslift work STUDY RUN, then explore again."
            )


def _is_known(store: Store, entry: Entry) -> bool:
    """Whether the journal ends with this entry already, because a finished exploration was called again."""
    known = read_entries(store)
    return bool(known) and replace(entry, number=known[-1].number) == known[-1]


def _open(study: Study) -> StepGraph:
    """The study as its file is now."""
    return StepGraph(load(study.folder), Store(study.results_folder))


def _extend(graph: StepGraph, decision: Decision, say: Say) -> tuple[StepGraph, Entry]:
    """Give the new mixtures of a batch to the study, and the names of all its runs to the entry."""
    advice, new = decision.advice, [one for one in decision.chosen if one.run is None]
    names: dict[tuple[tuple[str, int], ...], str] = {}
    if new:
        before = content_of(graph.study)
        added = append_batch(
            graph.study, advice.pattern, [one.amounts for one in new], unit=advice.unit, model=advice.model
        )
        after = content_of(graph.study)
        graph = _open(graph.study)
        try:
            prepare(graph, say=say)
        except CrossliftError:  # the study must remain usable
            replace_content(graph.study, after, before)
            raise
        runs = {run.mixture.name: run.name for run in graph.runs.values() if run.mixture is not None}
        names = {content_key(amounts): runs[mixture] for mixture, amounts in added}

    def listed(one: NextRun) -> BatchRun:
        run = one.run or names[content_key(one.amounts)]
        return BatchRun(run=run, amounts=one.amounts, expected_gain=one.expected_gain)

    return graph, replace(decision.entry, batch=tuple(map(listed, decision.chosen)))
