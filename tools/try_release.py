"""Installs the wheel in a fresh environment outside the repository and runs the demo study there, from file to report.

    python tools/try_release.py dist

`dist` holds one wheel and one sdist. Dependencies are of constraints.txt. Takes the time of an installation with torch
and of the demo study, a few minutes each.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
QUIET = ("--quiet", "--disable-pip-version-check")


def try_release(dist: Path) -> None:
    """Raise CalledProcessError, with the output of the command, where something does not work."""
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder / "venv", with_pip=True)
        binaries = folder / "venv" / "bin"
        pip = [binaries / "python", "-m", "pip", "install", *QUIET, "-c", (ROOT / "constraints.txt").resolve()]

        def say(*command: str | Path) -> None:
            print("$", *(Path(one).name if isinstance(one, Path) else one for one in command), flush=True)
            subprocess.run(command, cwd=folder, check=True)

        say(*pip, f"{wheel.resolve()}[train]")
        crosslift = binaries / "crosslift"
        say(crosslift, "new", "demo", "demo-study")
        for command in ("check", "plan", "run", "status", "report"):
            say(crosslift, command, "demo-study")
        page = folder / "demo-study" / "report" / "index.html"
        if not page.is_file():
            raise SystemExit(f"{page} was not written")
        say(*pip, "--force-reinstall", "--no-deps", str(sdist.resolve()))
        say(crosslift, "list", "tasks")
    print(f"{wheel.name} and {sdist.name} can be released")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dist", type=Path)
    sys.exit(try_release(parser.parse_args().dist))
