"""What holds for every test process: one thread, and no work that is repeated without need.

pytest-xdist uses all cores, and OpenMP threads that wait would take time from the other processes: with two threads,
the tests of the encoder-decoders take seven times as long.
"""

from __future__ import annotations

import functools
import gc
import os

import pytest
import typer.testing

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # read when torch and numpy are imported, and inherited by subprocesses

gc.disable()  # until all test modules are imported
# Typer builds all commands anew for each invocation, which takes longer than most of them.
typer.testing._get_command = functools.cache(typer.testing._get_command)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Leave what the test modules have imported out of garbage collection, which would walk it again and again."""
    gc.freeze()
    gc.enable()
