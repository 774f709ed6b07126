"""How long does `crosslift run` take on a finished study, until it says that nothing is to do?

    python benchmarks/restart.py

200 runs, each evaluated in six languages: 20 mixtures of 10 seeds, and 200 mixtures of one seed. The results are made
up (tests/support/finished_study.py), the study and all its done-markers are as real ones. The time is that of the
whole process, start of Python and imports included. Target: 1.5 seconds.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from finished_study import TAGS, write_finished_study

NUM_STARTS = 10


def main() -> None:
    for num_mixtures, num_seeds in ((20, 10), (200, 1)):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_finished_study(folder, num_mixtures=num_mixtures, num_seeds=num_seeds)
            first = restart(folder)
            seconds = [restart(folder) for _ in range(NUM_STARTS)]
            print(
                f"{num_mixtures} mixtures x {num_seeds} seeds, {len(TAGS)} languages: restart in "
                f"{np.median(seconds):.2f} s (median of {NUM_STARTS}; {min(seconds):.2f} to {max(seconds):.2f} "
                f"s); the first, which writes tables and report, in {first:.1f} s"
            )


def restart(folder: Path) -> float:
    """Seconds of one `crosslift run` that must find nothing to do."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "crosslift", "run", str(folder)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds = time.perf_counter() - begun
    assert "Nothing to do" in said, said
    return seconds


if __name__ == "__main__":
    main()
