"""One thread per test process: pytest-xdist uses all cores, and waiting OpenMP threads would take the time of the others
(the tests of the encoder-decoders take seven times as long with two threads)."""

from __future__ import annotations

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")  # read when torch and numpy are imported, and inherited by subprocesses
