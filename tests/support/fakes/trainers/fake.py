"""A trainer that learns nothing, quickly, and misbehaves as `faults.json` in the study's folder says."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from crosslift.errors import TrainingError
from crosslift.training.trainer import METRICS, Ended, Progress, SFTConfig, TrainingRequest


def train(request: TrainingRequest) -> None:
    run, study = request.folder.parent.name, request.folder.parents[2]
    faults = study / "faults.json"
    fault = json.loads(faults.read_text()).get(run) if faults.exists() else None
    sys.stdout.write(f"trains {run}\n")
    if fault == "error":
        raise TrainingError("the loss is not a number")
    if fault == "bug":
        raise ZeroDivisionError("a bug")
    if fault == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "die after":
        _die_after_the_last_evaluation(request.folder.parent)
    if fault == "slow":
        time.sleep(0.5)
    if isinstance(fault, (int, float)):
        _train_for(fault, request)
    request.report(Progress(step=1, num_steps=1, loss=1.0, tokens_per_second=1.0))
    checkpoint = request.folder / "checkpoint"
    checkpoint.mkdir(exist_ok=True)
    (checkpoint / "seen.txt").write_text(f"{len(request.examples)} {request.examples.ids.sum()} {request.seed}")
    pl.DataFrame(schema=METRICS).write_parquet(request.folder / "metrics.parquet")


def alone(config: SFTConfig) -> str | None:
    return "the fake was told so" if config.schedule == "constant" else None


def train_together(requests: Sequence[TrainingRequest], ended: Ended) -> str | None:
    """One after another; refuses if a run is to be trained alone."""
    faults = requests[0].folder.parents[2] / "faults.json"
    if faults.exists() and "alone" in json.loads(faults.read_text()).values():
        return "the fake was told so"
    for index, request in enumerate(requests):
        try:
            result = train(request)
        except Exception as error:
            result = error
        ended(index, result)
    return None


def _train_for(seconds: float, request: TrainingRequest) -> None:
    """Takes its time, and ends early, as trainers do, if the process is told to end."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if request.ending():
            raise SystemExit(128 + signal.SIGTERM)
        time.sleep(0.05)


def _die_after_the_last_evaluation(run: Path) -> None:
    replace = Path.replace

    def replace_or_die(self: Path, target: Path) -> Path:
        found = replace(self, target)
        if target == run / "eval" / "math.sw" / "done.json":
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    Path.replace = replace_or_die
