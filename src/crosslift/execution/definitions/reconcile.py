"""Brings the folder of a study into agreement with an edited study file, without computing anything.

What the study no longer asks for moves to `earlier/`; what it asks for again moves back. Each movement is a rename, and
a call that was interrupted is completed by the next one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from crosslift.errors import LeaseHeld, StoreError
from crosslift.execution.folder import earlier
from crosslift.execution.folder.checksums import read_sealed, write_sealed
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.steps import RunSteps, Step
from crosslift.execution.folder.store import Store
from crosslift.studies.run import Run
from crosslift.system.files import make_folder, remove
from crosslift.system.leases import Lease
from crosslift.system.refusals import refused

OF_A_RUN = ("error.json", "progress.json")
"""Files of a run's folder that describe the previous definition only and are not worth keeping."""


def reconcile(graph: StepGraph, recorded: Mapping[str, Any]) -> None:
    """Move the results of all runs whose definition has changed.

    Runs that another process executes are left alone; the worker that takes them next reconciles them.

    Args:
        graph: the steps of the study, whose corpora are prepared.
        recorded: "runs" of lock.json, which describes the previous definition.
    """
    store = graph.store
    for name in store.run_folders():  # first everything is set aside: a renamed run finds its results there
        run = graph.runs.get(name)
        if run is None or not graph.is_recorded(run, recorded):
            with _leased(store, name) as leased:
                if leased:
                    _set_aside(store, name, None if run is None else graph.steps(run))
            if run is None and leased:
                _remove_run(store, name)
    for run in graph.runs.values():
        if not graph.is_recorded(run, recorded) and _is_kept_aside(graph, run):
            with _leased(store, run.name) as leased:
                if leased:
                    take_back(graph, run)


def reconcile_run(graph: StepGraph, run: Run) -> None:
    """Move the results of one run, whose lease this process holds; does nothing if they are those of the study."""
    _set_aside(graph.store, run.name, graph.steps(run))
    if _is_kept_aside(graph, run):
        take_back(graph, run)


def _is_kept_aside(graph: StepGraph, run: Run) -> bool:
    aside = _aside_provenance(graph.store, graph.steps(run).fingerprint)
    return graph.state(run).kept_aside or aside.is_file()


def take_back(graph: StepGraph, run: Run) -> None:
    """Move a run's results and its provenance from `earlier/` into the run's folder. Its lease must be held."""
    steps, store = graph.steps(run), graph.store
    steps.take_back()
    aside = _aside_provenance(store, steps.fingerprint)
    with contextlib.suppress(StoreError):  # damaged: the provenance is written again by the next step
        kept = read_sealed(aside)
        if kept is not None:
            store.write_provenance(run.name, {key: value for key, value in kept.items() if key != "run"})
    remove(aside)


@contextlib.contextmanager
def _leased(store: Store, run: str) -> Any:
    """Context manager that leases a run; yields False if another process holds it."""
    lease = Lease(store.run_folder(run))
    try:
        lease.acquire()
    except LeaseHeld:
        yield False
        return
    try:
        yield True
    finally:
        lease.release(finished=True)


def _set_aside(store: Store, run: str, steps: RunSteps | None) -> None:
    """Set aside what a run's folder holds and its present steps do not ask for.

    Args:
        store: the study's folder.
        run: the run.
        steps: its present steps; None for a run that no longer belongs to the study.
    """
    wanted: dict[Path, Step] = {} if steps is None else {step.folder: step for step in steps.steps()}
    moved: set[str] = set()
    for folder in store.step_folders(run):
        found = earlier.content_fingerprint(folder)
        if found is None or (folder in wanted and wanted[folder].fingerprint == found):
            continue
        kind = earlier.kind_of(store.name_of(folder))
        earlier.keep(folder, store.earlier_folder(kind) / found)
        moved.add(kind)
    kept = _keep_provenance(store, run, None if steps is None else steps.fingerprint)
    names = [*(OF_A_RUN if moved or kept else ()), *(["provenance.json"] if "train" in moved else [])]
    for name in names:
        remove(store.run_folder(run) / name)


def _keep_provenance(store: Store, run: str, fingerprint: str | None) -> bool:
    """Move the provenance of another definition of the run to `earlier/runs/`. Returns whether there was one."""
    try:
        found = store.provenance_or_error(run)
    except StoreError:
        return False
    made_for = found.get("fingerprint")
    if not isinstance(made_for, str) or made_for == fingerprint:
        return False
    aside = _aside_provenance(store, made_for)
    with refused(f"{aside} cannot be written"):
        make_folder(aside.parent)
        write_sealed(aside, {"run": run, **found}, durable=False)
    return True


def _aside_provenance(store: Store, fingerprint: str) -> Path:
    return store.earlier_folder("runs") / f"{fingerprint}.json"


def _remove_run(store: Store, run: str) -> None:
    """Remove the folder of a run that no longer belongs to the study, whose results have been set aside."""
    if not any(store.step_folders(run)):
        remove(store.run_folder(run))


def set_aside_prepared(graph: StepGraph) -> None:
    """Set aside corpora, tokens and mixtures whose names no longer occur in the study, so that a renamed mixture finds
    its examples. The study's lease must be held."""
    store = graph.store
    wanted = {
        *(store.corpus_folder(name) for name in graph.corpora),
        *(store.tokens_folder(name, graph.models[model].tokenizer) for name, model in graph.tokenised()),
        *(store.mixture_folder(name) for name in graph.study.mixtures),
    }
    for folder in _prepared_folders(store):
        found = None if folder in wanted else earlier.content_fingerprint(folder)
        if found is not None:
            earlier.keep(folder, store.earlier_folder(folder.parent.name) / found)


def _prepared_folders(store: Store) -> Iterable[Path]:
    for kind in ("corpora", "tokens", "mixtures"):
        yield from sorted(folder for folder in (store.folder / kind).glob("*/") if folder.name[0] != ".")
