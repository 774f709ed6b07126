"""Tables of the entire study, built from its runs. They may be deleted at any time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crosslift import __version__
from crosslift.errors import StoreError
from crosslift.execution.folder.checksums import JUDGED, damaged, read_sealed, record_of, write_sealed
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.steps import EvaluationStep, RunState, Step
from crosslift.execution.folder.store import Store
from crosslift.execution.folder.tables import write_table
from crosslift.fingerprint import fingerprint, fingerprint_file
from crosslift.studies.study import Study
from crosslift.system.leases import waiting_lease

REBUILT = ".rebuilt.json"


def rebuild_result_tables(graph: StepGraph, states: Mapping[str, RunState]) -> dict[str, str]:
    """Write scores.parquet and runs.parquet, unless they are intact and up to date.

    Args:
        graph: the steps of the study.
        states: run -> state, for all runs.

    Returns:
        Table -> fingerprint of the results that it contains, not of its bytes.

    Raises:
        StoreError: a table cannot be read although its checksum is correct or missing.
    """
    store = graph.store
    made_of = _made_of(states)
    if _is_current(store, made_of):
        return made_of
    with waiting_lease(store.folder):
        if not _is_current(store, made_of):
            known = dict(store.damage)
            scores, runs = store.scores(), store.runs()
            new = {step: found for step, found in store.damage.items() if known.get(step) != found}
            if new:  # damage found while reading: `states` is out of date
                made_of = _made_of(graph.states(thorough=True))
                for step in new.keys() - store.damage.keys():  # undetected by checks: it would be omitted permanently
                    raise StoreError(str(new[step][0]))
            for file, table in ((store.scores_file, scores), (store.runs_file, runs)):
                write_table(file, table)
            files = {file.name: record_of(file) for file in (store.scores_file, store.runs_file)}
            write_sealed(store.folder / REBUILT, {**made_of, "files": files})
    return made_of


def tables_are_current(graph: StepGraph, states: Mapping[str, RunState]) -> bool:
    """Return whether the tables exist, are intact, and contain the results of `states` (run -> state)."""
    return _is_current(graph.store, _made_of(states))


def _made_of(states: Mapping[str, RunState]) -> dict[str, str]:
    return {
        "scores": fingerprint(
            [
                [name, one.evaluation.name, one.language, one.step.fingerprint, result["scores"], *_judged(one, state)]
                for name, state in states.items()
                for one in state.steps.evaluations
                if (result := state.results.get((one.evaluation.name, one.language))) is not None
            ]
        ),
        "runs": fingerprint({name: state.steps.fingerprint for name, state in states.items()}),
    }


def _judged(one: EvaluationStep, state: RunState) -> list[str]:
    """Return the fingerprint of the verdicts in a list; an empty list if there are none or they are damaged."""
    file = one.step.folder / JUDGED
    if any(damage.step == one.step.name and damage.file == JUDGED for damage in state.damage):
        return []
    return [fingerprint_file(file)] if file.is_file() else []


def _is_current(store: Store, made_of: Mapping[str, str]) -> bool:
    try:
        marker = read_sealed(store.folder / REBUILT)
    except StoreError:
        return False
    if marker is None or {key: value for key, value in marker.items() if key != "files"} != made_of:
        return False
    if "files" not in marker:
        return store.scores_file.is_file() and store.runs_file.is_file()
    return not damaged(store.folder, marker["files"])


def report_step(study: Study, store: Store, made_of: Mapping[str, str]) -> Step:
    """Create the step of the report, which is stale when a table, study.toml or the version of crosslift changes.

    Args:
        study: the study.
        store: the study's folder.
        made_of: table -> fingerprint, from `rebuild_result_tables`.

    Returns:
        The step.
    """
    inputs: dict[str, Any] = {
        "tables": dict(made_of),
        "study": fingerprint_file(study.folder / "study.toml"),
        "crosslift": __version__,
    }
    return Step(name="report", folder=store.report_folder, inputs=inputs)
