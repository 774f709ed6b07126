"""Taking a run: its lease, its steps under that lease, and the error that ends it.

An error in a run is written to the run's folder and stops neither the worker nor the other runs, except errors of the
file system, which would affect all runs. The output of a run goes to its log.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from crosslift.errors import CrossliftError, LeaseHeld, StoreError
from crosslift.execution.definitions.reconcile import reconcile_run
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.inspection.finished import definition_key
from crosslift.execution.inspection.status import note_finished
from crosslift.execution.workers.job import RUN_STARTED
from crosslift.execution.workers.recorded import RecordedDefinition
from crosslift.execution.workers.run_execution import RunExecution, TakenRun
from crosslift.extras import optional
from crosslift.system.files import make_folder, missing_root_error
from crosslift.system.leases import Lease, lease_holder
from crosslift.system.refusals import OF_THE_FILE_SYSTEM, as_store_error

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Taking:
    """How a worker takes its runs."""

    execution: RunExecution
    definition: RecordedDefinition
    session: str
    say: Callable[[str], None]
    waits_for_equal_runs: bool
    """Whether to skip a run while an equal run is leased; False if a user named the runs."""

    @property
    def graph(self) -> StepGraph:
        """The runs."""
        return self.execution.graph

    @cached_property
    def _key(self) -> str | None:
        return definition_key(self.graph)

    @contextlib.contextmanager
    def leased(self, name: str, *, together: bool) -> Iterator[TakenRun | None]:
        """Context manager that holds the lease of a run.

        Args:
            name: the run.
            together: whether it is evaluated with other runs, or else trained first.

        Yields:
            The run; None if nothing is to be done.

        Raises:
            LeaseHeld: another process holds the lease of the run or of an equal run.
        """
        store = self.graph.store
        for equal_run in self.execution.equal_runs.get(name, ()) if self.waits_for_equal_runs else ():
            if lease_holder(store.run_folder(equal_run)) is not None:
                raise LeaseHeld(f"{name} waits for {equal_run}, which has the same training and is leased.")
        lease = Lease(store.run_folder(name), session=self.session)
        lease.acquire()
        finished = False
        try:
            self.definition.check([name])
            reconcile_run(self.graph, self.graph.runs[name])
            # Read after the lease was acquired: another process may have finished the run before.
            if store.error(name) is not None:
                yield None
            elif self.graph.state(self.graph.runs[name]).done:
                finished = True
                yield None
            else:
                self.say(f"{RUN_STARTED} {name}")
                run = TakenRun(name=name, lease=lease, steps=iter(()))
                run.steps = self.execution.execute(run, together=together)
                yield run
                finished = run.is_over and not (run.has_failed or run.waits or run.is_lost)
        finally:
            if finished:
                with contextlib.suppress(CrossliftError, OSError):  # the note only saves time
                    note_finished(self.graph, self.graph.runs[name], self.definition.recorded, key=self._key)
            lease.release(finished=finished)

    def advance(self, run: TakenRun) -> None:
        """Execute a run up to its next pause or its end, and write any error to its folder. It has not failed if
        another worker took it over; then nothing is written.

        Raises:
            StoreError: the file system cannot be written, which would affect all runs.
        """
        store, name = self.graph.store, run.name
        run.is_over = True
        with log_to(store.run_folder(name) / "log.txt"):
            try:
                with optional():
                    pause = next(run.steps, None)
                if pause is not None:
                    run.pause, run.is_over = pause, False
            except Exception as error:
                run.has_failed = not self.record(name, run.lease, error)
                run.is_lost = not run.has_failed
            finally:
                if run.is_over and not (run.waits and not run.has_failed):  # else it goes on with others
                    self.execution.tracking.end(name)

    def record(self, name: str, lease: Lease, error: Exception) -> bool:
        """Write the error of a run to its folder.

        Returns:
            False; True if another worker took the run over, and nothing was written.

        Raises:
            StoreError: the file system cannot be written, which would affect all runs.
        """
        store = self.graph.store
        if (gone := missing_root_error(store.run_folder(name))) is not None:
            raise gone from error
        if _is_lost(lease):  # another worker continues the run; the lost lease caused the error
            log.warning("%s was taken over by another worker: %s", name, error)
            return True
        self.definition.check([name])  # the study was prepared anew: files were moved on purpose
        known = error if isinstance(error, CrossliftError) else as_store_error(error, _description(name, error))
        if isinstance(known, StoreError) and known.errno in OF_THE_FILE_SYSTEM:
            raise known from error  # no other run could be written either
        if known is not None:
            log.error("%s", known)
            store.write_error(name, error=type(known).__name__, message=str(known))
            return False
        log.error("unexpected error", exc_info=error)
        message = f"{error} (the traceback is in {store.name_of(store.run_folder(name))}/log.txt)"
        store.write_error(name, error=type(error).__name__, message=message)
        return False


@contextlib.contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Redirect the standard output and error of this process to the run's log at the level of file descriptors, which
    includes the output of C libraries and crash messages."""
    make_folder(path.parent)
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.dup2(file, 1)
        os.dup2(file, 2)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(saved[0], 1)
        os.dup2(saved[1], 2)
        for descriptor in (file, *saved):
            os.close(descriptor)


def _description(run: str, error: Exception) -> str:
    """Return the beginning of a message: which run cannot continue, and at which file."""
    file = getattr(error, "filename", None)
    return f"{run} cannot continue ({file})" if file else f"{run} cannot continue"


def _is_lost(lease: Lease) -> bool:
    try:
        lease.check()
    except LeaseHeld:
        return True
    except CrossliftError:  # the folder no longer exists
        return False
    return False
