"""Workers: a worker leases runs one after another and executes their steps: train, generate, score.

One worker executes many runs, because importing the training libraries takes seconds, which a study of 200 small runs
would otherwise spend 200 times. Workers do not communicate: a run belongs to the worker that holds its lease, and the
state of the work is read from the folder, so several workers divide a study among themselves.

Generators with an engine that takes long to start (see `evaluation.generator`) evaluate several runs at a time: a run
that is trained is released and waits until enough runs of its base model are trained, or none is left to train. The
worker then leases them together and evaluates them step by step, each evaluation in all of them before the next one.

An error in a run is written to the run's folder and stops neither this worker nor the others. A worker that dies
without a message leaves an unreleased lease; the worker that takes it over counts the deaths, so that a run that
exhausts the memory is not retried forever.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crosslift.errors import LeaseHeld, ModelError, UnknownName, did_you_mean
from crosslift.execution.definitions.reuse import equal_runs
from crosslift.execution.folder.progress import INTERVAL_OF_MANY_SECONDS, INTERVAL_SECONDS
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.store import Store
from crosslift.execution.phases.evaluate import engines_between_runs
from crosslift.execution.workers.job import asked_to_end, end_if_asked, graceful_termination
from crosslift.execution.workers.recorded import FinishedElsewhere, RecordedDefinition
from crosslift.execution.workers.resources import adapters_at_once, num_devices, with_devices
from crosslift.execution.workers.run_execution import RunExecution, TakenRun
from crosslift.execution.workers.taking import Taking, log_to
from crosslift.execution.workers.together.claims import Claims
from crosslift.execution.workers.together.training import Together
from crosslift.execution.workers.tracking import Tracking
from crosslift.studies.planning.volume import num_parameters
from crosslift.studies.site import Site
from crosslift.studies.study import Study
from crosslift.system.leases import wait_for_silent_owners

Say = Callable[[str], None]
HERE = Site()
"""Settings where no site is given."""


def work(
    study: Study,
    names: Sequence[str] = (),
    *,
    site: Site = HERE,
    models: Sequence[str] = (),
    num_workers: int = 1,
    session: str = "",
    grace_seconds: float = 0.0,
    patient: bool = False,
    first: float | None = None,
    say: Say = lambda line: None,
) -> bool:
    """Lease and execute missing runs until none is available.

    Args:
        study: the study.
        names: only these runs; empty for all. Runs that failed before are executed again if they are named and no
            session launched the worker.
        site: device, devices per run, checkpoints, and options of generators and trackers; it is not asked for workers.
        models: only runs of these base models; empty for all.
        num_workers: workers that share the runs, so that none takes so many that others have nothing to do.
        session: session that launched the worker; deaths are counted per session.
        grace_seconds: time between SIGTERM and the end of this process, in which the state of the run is saved.
        patient: wait for the leases of workers that have gone silent, and take their runs over.
        first: given if this worker is among many on a shared disk: the place in the order of the runs, 0 to 1, at which
            it begins, because many that all begin with the first run would find most runs leased. It also writes its
            progress seldom.
        say: called with each line of progress.

    Returns:
        Whether every run of this worker succeeded.

    Raises:
        StoreError: the study is not prepared.
        UnknownName: no run has that name.
        NotPrepared: the study file was edited since the study was prepared, also while this worker executes runs.
    """
    graph = StepGraph(study, Store(study.results_folder))
    _expect("run", names, graph.runs)
    _expect("model", models, study.models)
    chosen = [name for name in names or graph.runs if not models or graph.runs[name].model.name in models]
    definition = RecordedDefinition(graph)
    definition.check(chosen)
    named_by_hand = bool(names) and not session
    if named_by_hand:
        graph.store.clear_errors(names)
    site = with_devices(study, site)
    execution = RunExecution(
        graph=graph,
        site=site,
        num_devices={name: num_devices(site, name) for name in study.models},
        tracking=Tracking(site.trackers),
        equal_runs=equal_runs(graph),
        progress_seconds=INTERVAL_SECONDS if first is None else INTERVAL_OF_MANY_SECONDS,
    )
    worker = _Worker(
        taking=Taking(
            execution=execution,
            definition=definition,
            session=session,
            say=say,
            waits_for_equal_runs=not named_by_hand,
        ),
        finished=None if first is None else FinishedElsewhere(graph.store),
    )
    # Runs that equal an earlier run come last: that run is then finished, and its files can be copied.
    last = _follow_an_equal_run(worker)
    if first is None and not names:
        chosen = _largest_model_first(graph, chosen)
    together = worker.together(num_workers, last)
    begin = int((first or 0.0) % 1 * len(chosen))
    waiting = sorted(chosen[begin:] + chosen[:begin], key=last.__contains__)
    good = True
    with graceful_termination(grace_seconds), engines_between_runs(), contextlib.closing(execution.tracking):
        while waiting:
            leased = []
            for name in waiting:
                end_if_asked()
                try:
                    if worker.is_left(name):
                        good &= together.train(name, waiting)
                        good &= worker.take(name, together.trained.pop(name, None))
                except LeaseHeld:
                    leased.append(name)  # retried at the end: its owner may have died
                for group in worker.groups():
                    good &= worker.take_together(group, leased)
            for group in worker.groups(all_that_wait=True):
                good &= worker.take_together(group, leased)
            if leased == waiting:
                folders = [graph.store.run_folder(name) for name in leased]
                if not (patient and wait_for_silent_owners(folders, check=end_if_asked)):
                    break
            waiting = leased
    return good


def _largest_model_first(graph: StepGraph, names: Sequence[str]) -> list[str]:
    """Sort runs so that those of the largest models are not begun last, when all other workers have nothing left to
    do. Runs of one model, and models of unknown size, keep their order."""
    sizes: dict[str, float] = {}
    for model in graph.study.models.values():
        try:
            sizes[model.name] = num_parameters(graph.study, model) or 0.0
        except ModelError:  # its runs report it
            sizes[model.name] = 0.0
    return sorted(names, key=lambda name: -sizes[graph.runs[name].model.name])


def _expect(kind: str, names: Sequence[str], known: Collection[str]) -> None:
    for name in names:
        if name not in known:
            raise UnknownName(
                f"'{name}' is not a {kind} of this study.{did_you_mean(name, known)} See: crosslift status"
            )


@dataclass(frozen=True, kw_only=True)
class _Worker:
    taking: Taking
    finished: FinishedElsewhere | None
    """What other workers have finished; None unless this worker is among many."""
    waiting: dict[str, list[str]] = field(default_factory=dict)
    """Base model -> trained runs that wait for an engine."""

    @property
    def execution(self) -> RunExecution:
        return self.taking.execution

    @property
    def graph(self) -> StepGraph:
        return self.execution.graph

    def is_left(self, name: str) -> bool:
        """Return whether a run is not finished. Asked one run at a time: a thousand workers that start at once would
        otherwise all read the markers of all runs at once."""
        run = self.graph.runs[name]
        if self.finished is not None and self.finished.has(name, self.graph.steps(run).fingerprint):
            return False
        state = self.graph.state(run)
        return not state.done or state.kept_aside

    def together(self, num_workers: int, followers: Collection[str]) -> Together:
        """Return what trains several LoRA runs at once for this worker."""
        study, site = self.graph.study, self.execution.site
        claims = Claims(
            graph=self.graph,
            limits={name: adapters_at_once(study, site, name, num_workers=num_workers)[0] for name in study.models},
            num_workers=num_workers,
            session=self.taking.session,
            followers=set(followers),
            equal_runs=self.execution.equal_runs,
            is_left=self.is_left,
            check_definition=self.taking.definition.check,
        )
        return Together(
            graph=self.graph,
            claims=claims,
            tracking=self.execution.tracking,
            settings={
                "device": site.device,
                "generators": site.generators,
                "ending": asked_to_end,
                "compile": site.compile,
            },
            progress_seconds=self.execution.progress_seconds,
            record=self.taking.record,
            log_to=log_to,
            say=self.taking.say,
        )

    def take(self, name: str, trained: Mapping[str, Any] | None = None) -> bool:
        """Execute the missing steps of a run. Returns False if the run failed.

        Args:
            name: the run.
            trained: fields of its progress, if this worker has trained it together with others.

        Raises:
            LeaseHeld: another process holds the lease of the run or of an equal run.
        """
        with self.taking.leased(name, together=False) as run:
            if run is None:
                return True
            run.trained = trained or {}
            while not run.is_over:
                self.taking.advance(run)
            if run.waits:
                self.waiting.setdefault(self.graph.runs[name].model.name, []).append(name)
            return not run.has_failed

    def groups(self, *, all_that_wait: bool = False) -> Iterator[list[str]]:
        """Yield groups of trained runs of one base model that are to be evaluated now.

        Args:
            all_that_wait: whether no further run will be trained before; else only full groups are returned.
        """
        for names in self.waiting.values():
            while names:
                size = self.execution.group_size(self.graph.steps(self.graph.runs[names[0]]).evaluations)
                if len(names) < size and not all_that_wait:
                    break
                group = names[:size]
                del names[:size]
                yield group

    def take_together(self, names: Sequence[str], leased: list[str]) -> bool:
        """Evaluate trained runs of one base model. Returns False if one of them failed.

        Args:
            names: the runs.
            leased: runs that another process holds are added to it.
        """
        good = True
        later: list[str] = []
        with contextlib.ExitStack() as stack:
            runs: list[TakenRun] = []
            for name in names:
                # What an equal run has generated is copied, so it comes first.
                if any(one.name in self.execution.equal_runs.get(name, ()) for one in runs):
                    later.append(name)
                    continue
                try:
                    run = stack.enter_context(self.taking.leased(name, together=True))
                except LeaseHeld:
                    leased.append(name)
                    continue
                if run is not None:
                    runs.append(run)
            if len(runs) > 1 and any(run.lease.deaths for run in runs):
                # A worker died on one of them. Each is evaluated alone, so that only that one is given up.
                later = [run.name for run in runs] + later
                runs = []
            while runs:
                place = min(run.pause.place for run in runs)
                here = [run for run in runs if run.pause.place == place]
                generators = [run.pause.generator for run in here if run.pause.generator is not None]
                if generators:
                    generators[0].ask_with(generators[1:])
                for run in here:
                    self.taking.advance(run)
                    good &= not run.has_failed
                runs = [run for run in runs if not run.is_over]
        for name in later:
            good &= self.take_together([name], leased)
        return good


def _follow_an_equal_run(worker: _Worker) -> set[str]:
    """Return the runs that have the training of a run before them."""
    place = {name: number for number, name in enumerate(worker.graph.runs)}
    return {
        name for name, others in worker.execution.equal_runs.items() if any(place[one] < place[name] for one in others)
    }
