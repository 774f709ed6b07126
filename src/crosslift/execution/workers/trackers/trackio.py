"""trackio: a local database in trackers/trackio/. Show it with:

TRACKIO_DIR=STUDY/trackers/trackio trackio show
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from crosslift.execution.workers.tracking import TrackedRun

PACKAGE = "trackio"
OPTIONS: dict[str, type] = {"project": str}
_REMOTE = ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL", "TRACKIO_WEBHOOK_URL")
"""Environment variables with which trackio would send the numbers elsewhere."""


class _Run:
    def __init__(self, run: Any) -> None:
        self._run = run

    def log(self, values: Mapping[str, float], *, step: int) -> None:
        self._run.log(dict(values), step=step)

    def finish(self) -> None:
        self._run.finish()


def start(run: TrackedRun, project: str = "") -> _Run:
    """Begin a local run.

    Args:
        run: the run.
        project: the project; the name of the study by default.

    Raises:
        ImportError: trackio is not installed.
    """
    os.environ["TRACKIO_DIR"] = str(run.folder.resolve())  # read when the package is imported
    for name in _REMOTE:
        os.environ.pop(name, None)
    import trackio

    begun = trackio.init(
        project=project or run.study,
        name=run.run,
        group=run.study,
        config=dict(run.facts),
        embed=False,
        auto_log_gpu=False,
        auto_log_cpu=False,
    )
    return _Run(begun)
