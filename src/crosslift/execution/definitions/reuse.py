"""Reuse of equal runs: a computation that occurs under several run names is executed once.

Families of mixtures overlap: a dose of 0 is the same training for all sets of languages. A step is identified by the
inputs that determine its result, which do not include the run's name. If another run has finished a step with the same
fingerprint, its files are copied. The copy has its own folder and done-marker, so it does not depend on the other run's
folder afterwards.

Equal runs are not replicates: they share one draw of the between-run noise. Replicates differ in their seeds.
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
    """Find the runs with identical training.

    Args:
        graph: the steps of the study.

    Returns:
        Run -> the other runs with the same training, in the study's order; runs without an equal run are omitted.
    """
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
    """Copy the checkpoint and losses of a finished equal run.

    Args:
        graph: the steps of the study.
        steps: steps of the run to complete.
        others: the equal runs.

    Returns:
        Name of the equal run; None if none has finished and kept its checkpoint.
    """
    for other in others:
        theirs, ours = graph.steps(graph.runs[other]).train, steps.train
        assert theirs is not None and ours is not None
        found = theirs.state(thorough=graph.store.checkpoint_folder(other).is_dir())  # only intact files are copied
        result = found.outputs if found.intact else None
        if result is not None and graph.store.checkpoint_folder(other).is_dir():
            ours.begin()
            _copy(theirs.folder, ours.folder)
            ours.finish(**{"same_as": other, **result})
            return other
    return None


def copy_predictions(graph: StepGraph, one: EvaluationStep, others: Sequence[str]) -> float | None:
    """Copy the predictions of an equal run for the same evaluation and language, if they are intact.

    Args:
        graph: the steps of the study.
        one: the evaluation step to complete.
        others: the equal runs.

    Returns:
        The duration of generation in seconds; None if there are no such predictions.
    """
    for other in others:
        for theirs in graph.steps(graph.runs[other]).evaluations:
            if theirs.step.fingerprint != one.step.fingerprint:
                continue
            found = theirs.step.state(thorough=True)
            result = found.outputs if found.intact else None
            if result is not None and not result["num_errors"]:
                one.step.begin()
                shutil.copyfile(theirs.step.folder / "predictions.parquet", one.step.folder / "predictions.parquet")
                return float(result["seconds"])
    return None


def _copy(source: Path, target: Path) -> None:
    """Copy all files except markers, as hard links where supported: checkpoints are never modified in place."""
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
