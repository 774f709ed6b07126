"""Whatever several owners do and whatever lies in the folder, a lease has one owner at most."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from crosslift.errors import LeaseHeld
from crosslift.system.leases import Lease, lease_holder

OWNERS = st.integers(0, 3)


class Leases(RuleBasedStateMachine):
    """Four leases on one folder, taken and given back in any order, beside files that a kill or an editor left."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.leases = [Lease(self.folder) for _ in range(4)]
        self.owner: int | None = None

    @rule(one=OWNERS)
    def acquire(self, one: int) -> None:
        if one == self.owner:
            return
        try:
            self.leases[one].acquire()
        except LeaseHeld:
            assert self.owner is not None
        else:
            assert self.owner is None
            self.owner = one

    @precondition(lambda self: self.owner is not None)
    @rule(finished=st.booleans())
    def release(self, finished: bool) -> None:
        assert self.owner is not None
        self.leases[self.owner].release(finished=finished)
        self.owner = None

    @precondition(lambda self: self.owner is not None)
    @rule()
    def check(self) -> None:
        assert self.owner is not None
        self.leases[self.owner].check()

    @rule(name=st.sampled_from(["notes.txt", "lease.x", ".lease.1.tmp", "run.json"]), content=st.binary(max_size=20))
    def leave_something(self, name: str, content: bytes) -> None:
        (self.folder / name).write_bytes(content)

    @invariant()
    def the_holder_is_the_owner(self) -> None:
        assert (lease_holder(self.folder) is not None) == (self.owner is not None)

    def teardown(self) -> None:
        if self.owner is not None:
            self.leases[self.owner].release()
        shutil.rmtree(self.folder)


TestLeases = Leases.TestCase
TestLeases.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
