"""Rescoring of a finished study from its predictions after the code of a task has changed."""

from __future__ import annotations

from collections.abc import Callable

from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.phases.evaluate import rescore
from crosslift.execution.phases.prepare import require_prepared
from crosslift.execution.phases.run_records import task_revision


def rescore_all(graph: StepGraph, *, say: Callable[[str], None]) -> tuple[int, int]:
    """Score every finished evaluation again.

    Args:
        graph: the steps of the study.
        say: called with a line per evaluation that has errors.

    Returns:
        Number of scored evaluations, and number of samples that failed with an error.

    Raises:
        StoreError: the study has not been prepared.
        NotPrepared: the study file was edited since the study was run.
    """
    require_prepared(graph)
    lock = graph.store.lock()
    num_steps = num_errors = 0
    for name, state in graph.states(thorough=True).items():
        for one in state.steps.evaluations:
            result = state.results.get((one.evaluation.name, one.language))
            if result is None:
                continue
            faults = rescore(name, one, seconds=result["seconds"])
            if faults:
                say(f"{one.step.name}: {faults} samples could not be scored")
            num_steps += 1
            num_errors += faults
    graph.store.write_lock(lock | {"tasks": {task: task_revision(task) for task in lock["tasks"]}})
    return num_steps, num_errors
