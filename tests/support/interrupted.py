"""A training that is interrupted from the callback of its progress."""

from __future__ import annotations

from collections.abc import Callable

from crosslift.training.trainer import Progress


class Stop(Exception):
    """Ends the training."""


def stop_after(number: int) -> Callable[[Progress], None]:
    """Return a callback that raises `Stop` once so many steps are done."""

    def report(progress: Progress) -> None:
        if progress.step >= number:
            raise Stop

    return report
