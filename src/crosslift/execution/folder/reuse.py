"""Runs that are the same computation under two names are computed once.

Families meet in a cell: a dose of 0 is the same training whatever the languages are that get nothing, and the second
study has three such columns. Steps are known by what decides their result, and a run's name is not in it: where another
run has finished a step of the same fingerprint, its files are taken. The copy is a step like any other, written and
marked in its own folder, so that nothing depends on the other run's folder afterwards.

Such runs are no replicates: they are one draw of the noise between runs. Those come of different seeds.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from crosslift.execution.folder.checksums import MARKER, STARTED
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.steps import EvaluationStep, RunSteps
from crosslift.system.files import make_folder


def equal_runs(graph: StepGraph) -> dict[str, tuple[str, ...]]:
    """Run -> the other runs that are the same training, in the study's order; only of runs that have any."""
    groups: dict[str, list[str]] = {}
    for name, run in graph.runs.items():
        step = graph.steps(run).train
        if step is not None:
            groups.setdefault(step.fingerprint, []).append(name)
    return {
        name: tuple(other for other in group if other != name)
        for group in groups.values()
        if len(group) > 1
        for name in group
    }


def copy_training(graph: StepGraph, steps: RunSteps, others: Sequence[str]) -> str | None:
    """Take the checkpoint and losses of a finished twin.

    Returns:
        Its name; None where no twin has finished, or none has kept its checkpoint.
    """
    for other in others:
        theirs, ours = graph.steps(graph.runs[other]).train, steps.train
        assert theirs is not None and ours is not None
        found = theirs.state(thorough=graph.store.checkpoint_folder(other).is_dir())  # a copy is marked as whole
        result = found.outputs if found.whole else None
        if result is not None and graph.store.checkpoint_folder(other).is_dir():
            ours.begin()
            _copy(theirs.folder, ours.folder)
            ours.finish(**{"same_as": other, **result})
            return other
    return None


def copy_predictions(graph: StepGraph, one: EvaluationStep, others: Sequence[str]) -> float | None:
    """Take the predictions of a twin for the same question, if they are whole.

    Returns:
        The seconds that generating them took; None where there are none.
    """
    for other in others:
        for theirs in graph.steps(graph.runs[other]).evaluations:
            if theirs.step.fingerprint != one.step.fingerprint:
                continue
            found = theirs.step.state(thorough=True)
            result = found.outputs if found.whole else None
            if result is not None and not result["num_errors"]:
                one.step.begin()
                shutil.copyfile(theirs.step.folder / "predictions.parquet", one.step.folder / "predictions.parquet")
                return float(result["seconds"])
    return None


def _copy(source: Path, target: Path) -> None:
    """All files but the markers. Links where the file system has them: a checkpoint is never written again."""
    for folder, _, files in os.walk(source):
        here = target / Path(folder).relative_to(source)
        make_folder(here)
        for name in files:
            if name in (MARKER, STARTED) or name.startswith("."):
                continue
            (here / name).unlink(missing_ok=True)
            try:
                os.link(Path(folder) / name, here / name)
            except OSError:
                shutil.copyfile(Path(folder) / name, here / name)
