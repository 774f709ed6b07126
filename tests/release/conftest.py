"""One build of both archives, from a copy of what git tracks, so that leftovers of other builds cannot enter."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEEDED = ("src", "docs", "*.md", "*.cff", "*.in", "*.txt", "LICENSE", "pyproject.toml")


@dataclass(frozen=True)
class Built:
    wheel: Path
    sdist: Path


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> Built:
    tree = tmp_path_factory.mktemp("tree")
    leftovers = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for pattern in NEEDED:
        for found in ROOT.glob(pattern):
            place = tree / found.relative_to(ROOT)
            if found.is_dir():
                shutil.copytree(found, place, ignore=leftovers)
            else:
                shutil.copy(found, place)
    out = tmp_path_factory.mktemp("dist")
    ended = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, tree], capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return Built(wheel=wheel, sdist=sdist)


@pytest.fixture(scope="session")
def target(built: Built, tmp_path_factory) -> Path:
    """The wheel, unpacked by pip; dependencies are those of this environment."""
    folder = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*command, "--no-index", "--target", folder, built.wheel], check=True, capture_output=True)
    return folder
