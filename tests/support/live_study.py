"""A study that is being worked on, without workers: leases, progress and results are written by the test."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from crosslift.execution.folder.progress import ProgressWriter
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.tables import write_table
from crosslift.fingerprint import fingerprint_file
from crosslift.scores import PREDICTIONS, SCORES
from crosslift.system.leases import Lease
from crosslift.viewing.observer import Observer, open_read_only
from crosslift.viewing.server import ViewServer

HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'> \u202egnp"


@contextlib.contextmanager
def running(graph: StepGraph, run: str) -> Iterator[ProgressWriter]:
    """Hold the lease of a run, and yield its progress."""
    folder = graph.store.run_folder(run)
    with Lease(folder):
        yield ProgressWriter(folder, num_evaluations=3)


def train(progress: ProgressWriter, step: int, *, loss: float) -> None:
    """Report a training step, with losses of two languages."""
    steps = list(range(1, step + 1))
    curve = {"step": steps, "all": [loss] * step, "en": [loss] * step, "sw": [loss + 1] * step}
    progress._written = 0.0  # due at once
    progress.update(phase="training", step=step, num_steps=4, loss=loss, curve=curve, tokens_per_second=1000.0)


def finish_evaluation(graph: StepGraph, run: str, language: str, *, text: str = "5", right: bool = True) -> None:
    """Write the result of one evaluation: one item is unparsed, the other as `right` says."""
    one = next(one for one in graph.steps(graph.runs[run]).evaluations if one.language == language)
    one.step.begin()
    about = {"item_id": "i0", "cluster": "i0", "language": language}
    rows = [about | {"sample_id": f"i{number}.{language}"} for number in range(2)]
    asked = {"prompt": text, "text": text, "finish": "stop", "answer": "5"}
    counts = {"num_prompt_tokens": 1, "num_completion_tokens": 1}
    write_table(
        one.step.folder / "predictions.parquet", pl.DataFrame([row | asked | counts for row in rows], PREDICTIONS)
    )
    names = {"run": run, "evaluation": one.evaluation.name, "task": one.evaluation.task}
    scores = [
        row
        | names
        | {"metric": metric, "value": float(right and not number), "status": "unparsed" if number else "scored"}
        for number, row in enumerate(rows)
        for metric in ("accuracy", "in_language")
    ]
    file = one.step.folder / "scores.parquet"
    write_table(file, pl.DataFrame(scores, SCORES))
    one.step.finish(scores=fingerprint_file(file), num_samples=2, num_errors=0, seconds=1.0)


@contextlib.contextmanager
def served(folder: Path) -> Iterator[ViewServer]:
    """Serve the page of a study."""
    with ViewServer(Observer(lambda: open_read_only(folder)), port=0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
