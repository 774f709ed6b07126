"""TensorBoard: event files in trackers/tensorboard/<run>/. Show them with:

tensorboard --logdir STUDY/trackers/tensorboard
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crosslift.execution.workers.tracking import TrackedRun

PACKAGE = "tensorboard"
OPTIONS: dict[str, type] = {}


class _Events:
    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def log(self, values: Mapping[str, float], *, step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def finish(self) -> None:
        self._writer.close()


def start(run: TrackedRun) -> _Events:
    """Begin the event file of a run.

    Raises:
        ImportError: tensorboard is not installed.
    """
    from tensorboard.summary import Writer

    return _Events(Writer(str(run.folder / run.run)))
