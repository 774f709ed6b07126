"""What is in the wheel and the sdist, and that the program runs from the wheel outside the repository."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import crosslift

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("release")]

DATA = {
    "languages/data/sw.toml",
    "languages/facts.csv",
    "pocket/data/sw.toml",
    "pocket/models/qwen3-s/model.safetensors",
    "pocket/models/qwen3-s/tokenizer.json",
    "pocket/models/qwen3-s/chat_template.jinja",
    "py.typed",
    "reporting/templates/report.html.jinja",
    "studies/presets/english-is-not-all-you-need/full.toml",
}
"""One file of each kind, so that a folder that moves is not lost together with what expects it."""


def files_of(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


def expected() -> set[str]:
    files = (file for file in (SOURCE / "crosslift").rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return {file.relative_to(SOURCE).as_posix() for file in files}


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(built):
    files = files_of(built.wheel)
    dist_info = {name for name in files if name.partition("/")[0].endswith(".dist-info")}
    assert files - dist_info == expected()
    assert files >= {f"crosslift/{name}" for name in DATA}
    assert any(name.startswith("crosslift/translation/recipes/") for name in files)
    assert any(name.endswith("/licenses/LICENSE") for name in dist_info)


def test_the_sdist_builds_the_wheel_and_leaves_tests_and_reference_runs_out(built):
    with tarfile.open(built.sdist) as archive:
        files = {name.partition("/")[2] for name in archive.getnames()}
    assert {f"src/{name}" for name in expected()} <= files
    assert {"LICENSE", "README.md", "CHANGELOG.md", "CITATION.cff", "pyproject.toml", "constraints.txt"} <= files
    assert not {name.partition("/")[0] for name in files} & {"tests", "references", "benchmarks", "examples", "tools"}


def test_both_pass_twine(built):
    pytest.importorskip("twine")
    ended = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", built.wheel, built.sdist], capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_metadata_name_the_version_the_pythons_and_the_extras(built):
    with zipfile.ZipFile(built.wheel) as archive:
        (name,) = (one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(archive.read(name).decode())
    assert metadata["Version"] == crosslift.__version__
    assert metadata["Requires-Python"] == ">=3.11"
    assert {"report", "train", "endpoint", "hub"} <= set(metadata.get_all("Provides-Extra", []))
    for minor in (11, 12, 13, 14):
        assert f"Programming Language :: Python :: 3.{minor}" in metadata.get_all("Classifier", [])


def run(target: Path, folder: Path, *arguments: str) -> str:
    """The installed program, by its entry point, in a folder outside the repository."""
    environment = {**os.environ, "PYTHONPATH": str(target)}
    ended = subprocess.run(
        [sys.executable, target / "bin" / "crosslift", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_the_program_runs_from_the_wheel_outside_the_repository(target: Path, tmp_path: Path):
    code = "import crosslift; print(crosslift.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(found.stdout.strip()).is_relative_to(target)
    run(target, tmp_path, "new", "demo", "mine")
    assert "No problems were found" in run(target, tmp_path, "check", "mine")
    assert "10 missing" in run(target, tmp_path, "plan", "mine")
    for kind, member in {
        "languages": "sw",
        "tasks": "math",
        "readers": "mgsm",
        "presets": "post-trainers-guide",
        "recipes": "api-bank",
        "models": "pocket:qwen3-s",
        "generators": "hf",
        "trainers": "native",
        "executors": "local",
    }.items():
        assert member in run(target, tmp_path, "list", kind)
    assert "Jibu ni" in run(target, tmp_path, "pocket", "show", "math", "--languages", "en,sw")
