"""Weights & Biases, offline: files in trackers/wandb/. Nothing is sent. Upload them later with:

wandb sync STUDY/trackers/wandb/wandb/offline-*
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crosslift.execution.workers.tracking import TrackedRun

PACKAGE = "wandb"
OPTIONS: dict[str, type] = {"project": str}


class _Run:
    def __init__(self, run: Any) -> None:
        self._run = run

    def log(self, values: Mapping[str, float], *, step: int) -> None:
        # "step" is a value, and not wandb's own count of calls: losses and scores may have the same step.
        self._run.log({**values, "step": step})

    def finish(self) -> None:
        self._run.finish()


def start(run: TrackedRun, project: str = "") -> _Run:
    """Begin an offline run.

    Args:
        run: the run.
        project: the project; the name of the study by default.

    Raises:
        ImportError: wandb is not installed.
    """
    import wandb

    settings = wandb.Settings(
        console="off", silent=True, disable_git=True, save_code=False, x_disable_meta=True, x_disable_stats=True
    )
    begun = wandb.init(
        project=project or run.study,
        group=run.study,
        name=run.run,
        config=dict(run.facts),
        dir=str(run.folder),
        mode="offline",
        reinit="create_new",
        settings=settings,
    )
    begun.define_metric("*", step_metric="step")
    return _Run(begun)
