"""Which runs a worker trains together.

They have one base model, nobody has begun them, and the worker holds a lease of each. It takes no more than its share
of the runs that are left, so that other workers do not run out of work.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from crosslift.errors import LeaseHeld
from crosslift.execution.definitions.reconcile import reconcile_run
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.system.leases import Lease, lease_holder

LOOK_AHEAD = 8
"""Runs that are looked at for each that is wanted: those that follow an untrained run are mostly untrained too."""


@dataclass(kw_only=True)
class Claims:
    """Claims runs for a worker."""

    graph: StepGraph
    limits: Mapping[str, int]
    """Base model -> largest number of its runs; 1 where they are trained one by one."""
    num_workers: int
    """Workers that share the runs."""
    session: str
    followers: set[str]
    """Runs that follow an equal run, whose training is copied."""
    equal_runs: Mapping[str, Sequence[str]]
    is_left: Callable[[str], bool]
    check_definition: Callable[[Sequence[str]], None]
    refused: set[str] = field(default_factory=set)
    """Base models whose runs turned out to need training one by one."""

    def claim(self, name: str, waiting: Sequence[str], stack: contextlib.ExitStack) -> dict[str, Lease]:
        """Claim a run and others that can be trained with it.

        Args:
            name: the run that the worker is about to take.
            waiting: runs that the worker has not taken, in its order.
            stack: releases the leases at its end.

        Returns:
            Run -> its lease, the given one first; fewer than two if the run is to be trained alone.
        """
        candidates = self._candidates(name, waiting)
        size = min(self._limit(name), math.ceil(len(candidates) / self.num_workers))
        held: dict[str, Lease] = {}
        for other in candidates if size > 1 else ():
            if len(held) < size and (lease := self._lease(other, stack)) is not None:
                held[other] = lease
            if name not in held:
                break
        return held

    def refuse(self, name: str) -> None:
        """Remember that the runs of this run's base model must be trained one by one."""
        self.refused.add(self.graph.runs[name].model.name)

    def _limit(self, name: str) -> int:
        model = self.graph.runs[name].model.name
        return 1 if model in self.refused else self.limits.get(model, 1)

    def _candidates(self, name: str, waiting: Sequence[str]) -> list[str]:
        """The run and others of its base model that are to be trained, leased or not: as many as all workers take."""
        limit = self._limit(name)
        if limit < 2 or not self._is_untrained(name):
            return []
        number = limit * self.num_workers
        model, found = self.graph.runs[name].model.name, [name]
        others = (one for one in waiting[waiting.index(name) + 1 :] if self.graph.runs[one].model.name == model)
        for _, other in zip(range(LOOK_AHEAD * number), others, strict=False):
            if len(found) == number:
                break
            if self._is_untrained(other):
                found.append(other)
        return found

    def _is_untrained(self, name: str) -> bool:
        """Whether a run must be trained, and its training is not that of an equal run."""
        run, store = self.graph.runs[name], self.graph.store
        if run.mixture is None or name in self.followers or store.error(name) is not None or not self.is_left(name):
            return False
        for other in self.equal_runs.get(name, ()):
            if lease_holder(store.run_folder(other)) is not None or self.graph.state(self.graph.runs[other]).trained:
                return False
        state = self.graph.state(run)
        return not (state.trained or state.training_is_damaged)

    def _lease(self, name: str, stack: contextlib.ExitStack) -> Lease | None:
        """Claim a run; None if it is claimed, has failed or was trained meanwhile, or if a worker died on it: such a
        run is trained alone, so that only one run is counted as having killed its worker."""
        lease = Lease(self.graph.store.run_folder(name), session=self.session)
        try:
            lease.acquire()
        except LeaseHeld:
            return None
        stack.callback(lease.release)
        self.check_definition([name])
        reconcile_run(self.graph, self.graph.runs[name])
        # Read again after the lease was acquired: another process may have taken the run before.
        if lease.deaths == 0 and self._is_untrained(name):
            return lease
        lease.release(finished=not self.is_left(name))
        return None
