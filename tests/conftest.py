"""One thread per test process.

pytest-xdist uses all cores, and OpenMP threads that wait would take time from the other processes: with two threads,
the tests of the encoder-decoders take seven times as long.
"""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # read when torch and numpy are imported, and inherited by subprocesses
