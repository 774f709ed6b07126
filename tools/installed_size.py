"""What an installation of crosslift takes on the disk, by distribution.

    python tools/installed_size.py                 of the environment that runs this
    python tools/installed_size.py --extra report  a fresh environment is made for it, as for "" (no extra)

A distribution is counted with the files that its RECORD lists and what Python compiled of them. Packages that came with
the environment (pip, setuptools) are counted too.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import venv
from importlib.metadata import Distribution, distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
SHOWN = 1.0
"""Megabytes (1024 x 1024 bytes) from which on a distribution has its own line."""


def size(distribution: Distribution) -> int:
    """Bytes on the disk, compiled modules included."""
    files = {Path(str(file.locate())) for file in distribution.files or ()}
    for source in [file for file in files if file.suffix == ".py"]:
        files.update((source.parent / "__pycache__").glob(f"{source.stem}.*.pyc"))
    return sum(file.stat().st_blocks * 512 for file in files if file.is_file())


def show() -> None:
    """A line per distribution of this environment, the largest first, and the sum."""
    sizes = {one.metadata["Name"]: size(one) / 2**20 for one in distributions()}
    for name, megabytes in sorted(sizes.items(), key=lambda item: -item[1]):
        if megabytes >= SHOWN:
            print(f"{megabytes:7.0f} MB  {name}")
    small = [megabytes for megabytes in sizes.values() if megabytes < SHOWN]
    print(f"{sum(small):7.0f} MB  {len(small)} others")
    print(f"{sum(sizes.values()):7.0f} MB  together")


def show_fresh(extra: str) -> None:
    """The same of a new environment with crosslift and one extra in it."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / ("Scripts" if os.name == "nt" else "bin") / "python"
        wanted = f"{ROOT}[{extra}]" if extra else str(ROOT)
        quiet = ("--quiet", "--disable-pip-version-check")
        subprocess.run([python, "-m", "pip", "install", *quiet, "-c", ROOT / "constraints.txt", wanted], check=True)
        subprocess.run([python, __file__], check=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--extra", help='in a fresh environment; "" is the core alone')
    extra = parser.parse_args().extra
    sys.exit(show() if extra is None else show_fresh(extra))
