"""Follows a study by reading its folder, at a cost that depends on what changed and not on the number of runs.

A look costs one `stat` per run: every change of a run's state replaces or removes a file in its folder (progress.json,
error.json, the lease), which changes the modification time of the folder. Only changed runs are read again, and each
row of the answer carries the number of the look in which it changed, so that a page asks for changes only.
Nothing is written, and no lock is taken.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from crosslift.errors import CrossliftError
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.store import Store
from crosslift.execution.inspection.status import Status, overall_progress, status
from crosslift.studies.parsing.load import load
from crosslift.viewing.results import EvaluationResult, details, finite, read_results

LOOK_SECONDS = 1.0
"""Minimum time between two looks at the folder, however many pages ask."""
READING_SECONDS = 0.25
"""Time of one look for reading scores. What is left is read in the next looks."""
UNSETTLED_SECONDS = 1.0
"""Age of a change below which a folder is read once more, because its time may be equal after a further change."""

Open = Callable[[], StepGraph]


def open_read_only(folder: Path) -> StepGraph:
    """Load a study so that nothing is ever written to its folder.

    Args:
        folder: the folder of the study.

    Returns:
        The steps of the study.

    Raises:
        StudyError: the study file is invalid.
    """
    study = load(folder, data="optional")
    return StepGraph(study, Store(study.results_folder, read_only=True))


class Observer:
    """The runs of a study and what changed since an earlier look. Methods may be called from several threads.

    Args:
        open_graph: loads the study; called again whenever study.toml, lock.json or scores.parquet changes.
    """

    def __init__(self, open_graph: Open) -> None:
        self._open = open_graph
        self._lock = threading.Lock()
        self._looked = -LOOK_SECONDS
        self._version = 0
        self._problem = ""
        self._sources: tuple[Any, ...] = ()
        self._load(open_graph())

    @property
    def graph(self) -> StepGraph:
        """The steps of the study, as last loaded."""
        return self._graph

    def changes(self, since: str = "") -> dict[str, Any]:
        """Look at the folder, and return what changed.

        Args:
            since: "version" of an earlier answer; empty, or of an earlier loading of the study: everything changed.

        Returns:
            "version": for the next call; "all": whether every run is contained; "runs": rows of changed runs, see
            `_row`; "summary": see `_summary`.
        """
        with self._lock:
            self._look()
            identity, _, number = since.partition(".")
            known = int(number) if identity == self._identity and number.isdecimal() else -1
            return {
                "version": f"{self._identity}.{self._version}",
                "all": known < 0,
                "runs": [row for version, row in self._rows.values() if version > known],
                "summary": self._summary(),
            }

    def report_version(self) -> str:
        """A text that changes whenever the report is written; empty if there is no complete report."""
        folder = self._graph.store.report_folder
        page = _time_of(folder / "index.html")
        return str(page) if page and (folder / "done.json").is_file() else ""

    def statuses(self) -> list[Status]:
        """Look at the folder, and return the status of every run."""
        with self._lock:
            self._look()
            return list(self._statuses.values())

    def details(self, run: str) -> dict[str, Any] | None:
        """The details of a run, see `results.details`; None if the study has no such run."""
        with self._lock:
            if run not in self._graph.runs:
                return None
            return {**details(self._graph, run), "results": self._results_of(run)}

    # ------------------------------------------------------------------------------------------------------ looking

    def _load(self, graph: StepGraph) -> None:
        """Begin anew with a loaded study."""
        self._graph = graph
        self._sources = self._source_times()
        self._identity = secrets.token_hex(4)
        self._places = {name: place for place, name in enumerate(graph.runs)}
        self._times: dict[str, int] = {}
        self._statuses: dict[str, Status] = {}
        self._results: dict[str, dict[tuple[str, str], EvaluationResult]] = {}
        self._unread: dict[str, None] = {}
        self._rows: dict[str, tuple[int, dict[str, Any]]] = {}
        self._update(graph.runs)

    def _source_times(self) -> tuple[Any, ...]:
        store = self._graph.store
        files = (self._graph.study.folder / "study.toml", store.lock_file, store.scores_file)
        return tuple(_time_of(file) for file in files)

    def _look(self) -> None:
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return
        if self._source_times() != self._sources:
            self._sources = self._source_times()
            try:
                self._load(self._open())
                self._problem = ""
            except CrossliftError as error:  # being edited: the last valid study is shown
                self._problem = str(error)
        self._update(self._changed())
        self._read()
        self._looked = time.monotonic()

    def _changed(self) -> list[str]:
        """The runs whose folder changed, and running ones whose worker has died."""
        store, found = self._graph.store, []
        for name in self._graph.runs:
            if _time_of(store.run_folder(name)) != self._times[name] or (
                self._statuses[name].what == "running" and store.holder(name) is None
            ):
                found.append(name)
        return found

    def _update(self, names: Iterable[str]) -> None:
        chosen = list(names)
        if not chosen:
            return
        runs = [self._graph.runs[name] for name in chosen]
        for name in chosen:  # before reading: a later change is then seen in the next look
            changed = _time_of(self._graph.store.run_folder(name))
            self._times[name] = changed if time.time() - changed / 1e9 > UNSETTLED_SECONDS else -1
        for one in status(self._graph, runs):
            before = self._statuses.get(one.run)
            self._statuses[one.run] = one
            if _num_evaluated(one) and (
                before is None or before.what != one.what or _num_evaluated(before) != _num_evaluated(one)
            ):
                self._unread[one.run] = None
            self._put(one.run)

    def _read(self) -> None:
        """Read scores until the time is used up."""
        until = time.monotonic() + READING_SECONDS
        while self._unread and time.monotonic() < until:
            name = next(iter(self._unread))
            del self._unread[name]
            self._results[name] = read_results(self._graph, name, self._results.get(name, {}))
            self._put(name)

    def _put(self, name: str) -> None:
        """Store the row of a run, with the next version if it differs."""
        row = self._row(self._statuses[name])
        before = self._rows.get(name)
        if before is None or before[1] != row:
            self._version += 1
            self._rows[name] = self._version, row

    # ------------------------------------------------------------------------------------------------------- answers

    def _row(self, one: Status) -> dict[str, Any]:
        run = self._graph.runs[one.run]
        progress = one.progress
        losses = {} if progress is None else progress.last_losses
        found = self._results.get(one.run, {}).values()
        return {
            "run": one.run,
            "place": self._places[one.run],
            "model": run.model.name,
            "mixture": "base" if run.mixture is None else run.mixture.name,
            "seed": run.seed,
            "state": one.what,
            "phase": progress.phase if progress is not None and one.what == "running" else "",
            "step": max(one.expected.num_steps if one.expected.trained else 0, progress.step if progress else 0),
            "num_steps": one.expected.num_steps or (progress.num_steps if progress else 0),
            "evaluations": _num_evaluated(one),
            "num_evaluations": one.expected.num_evaluations or (progress.num_evaluations if progress else 0),
            "loss": None if progress is None else finite(progress.loss),
            "losses": {tag: finite(loss) for tag, loss in losses.items()},
            "speed": finite(progress.tokens_per_second) if progress is not None and one.what == "running" else None,
            "scores": _nested(found),
            "num_answers": sum(result.num_answers for result in found),
            "unscored": _unscored(found),
            "message": one.message[:2000],
        }

    def _summary(self) -> dict[str, Any]:
        found = list(self._statuses.values())
        num_active = sum(one.what == "running" for one in found)
        total = overall_progress(found, num_workers=max(1, num_active))
        counts: dict[str, int] = {}
        for one in found:
            counts[one.what] = counts.get(one.what, 0) + 1
        return {
            "num_runs": len(found),
            "counts": counts,
            "share": total.done / total.total if total.total else 0.0,
            "seconds_left": finite(total.seconds_left) if num_active else None,
            "unread": len(self._unread),
            "problem": self._problem,
            "report": self.report_version(),
        }

    def _results_of(self, run: str) -> list[dict[str, Any]]:
        return [
            {
                "evaluation": one.evaluation,
                "language": one.language,
                "mean": one.mean,
                "num_answers": one.num_answers,
                "counts": one.counts,
            }
            for one in self._results.get(run, {}).values()
        ]


def _num_evaluated(one: Status) -> int:
    return max(one.expected.evaluations, one.progress.evaluations if one.progress else 0)


def _nested(found: Iterable[EvaluationResult]) -> dict[str, dict[str, float | None]]:
    """Evaluation -> language -> mean."""
    scores: dict[str, dict[str, float | None]] = {}
    for one in found:
        scores.setdefault(one.evaluation, {})[one.language] = None if one.mean is None else round(one.mean, 4)
    return scores


def _unscored(found: Iterable[EvaluationResult]) -> dict[str, int]:
    """Status other than "scored" -> answers."""
    counts: dict[str, int] = {}
    for one in found:
        for what, count in one.counts.items():
            if what != "scored":
                counts[what] = counts.get(what, 0) + count
    return counts


def _time_of(path: Path) -> int:
    """Modification time in nanoseconds; 0 if the path does not exist."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
