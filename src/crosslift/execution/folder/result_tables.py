"""The tables of the whole study, made from its runs. They may be deleted at any time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crosslift import __version__
from crosslift.execution.folder.step_graph import RunState, StepGraph
from crosslift.execution.folder.steps import Step
from crosslift.execution.folder.store import JUDGED, Store, write_table
from crosslift.files import read_json, write_json
from crosslift.fingerprint import fingerprint, fingerprint_file
from crosslift.leases import waiting_lease
from crosslift.studies.study import Study

_MARKER = ".rebuilt.json"


def rebuild_result_tables(graph: StepGraph, states: Mapping[str, RunState]) -> dict[str, str]:
    """Write scores.parquet and runs.parquet, unless they stand for these results already.

    Returns:
        A fingerprint per table: of the results, not of the bytes.
    """
    store = graph.store
    made_of = {
        "scores": fingerprint(
            [
                [name, one.evaluation.name, one.language, one.step.fingerprint, result["scores"], *_judged(one.step)]
                for name, state in states.items()
                for one in state.steps.evaluations
                if (result := state.results.get((one.evaluation.name, one.language))) is not None
            ]
        ),
        "runs": fingerprint({name: state.steps.fingerprint for name, state in states.items()}),
    }
    if _stand_for(store, made_of):
        return made_of
    with waiting_lease(store.folder):
        if not _stand_for(store, made_of):
            for file, table in ((store.scores_file, store.scores()), (store.runs_file, store.runs())):
                write_table(file, table)
            write_json(store.folder / _MARKER, made_of)
    return made_of


def _judged(step: Step) -> list[str]:
    """What judges said of the answers, where any were asked."""
    file = step.folder / JUDGED
    return [fingerprint_file(file)] if file.is_file() else []


def _stand_for(store: Store, made_of: Mapping[str, str]) -> bool:
    there = store.scores_file.is_file() and store.runs_file.is_file()
    return there and read_json(store.folder / _MARKER) == made_of


def report_step(study: Study, store: Store, made_of: Mapping[str, str]) -> Step:
    """The report as a step: made again whenever a table, the study's words or the program changes."""
    inputs: dict[str, Any] = {
        "tables": dict(made_of),
        "study": fingerprint_file(study.folder / "study.toml"),
        "crosslift": __version__,
    }
    return Step(name="report", folder=store.report_folder, inputs=inputs)
