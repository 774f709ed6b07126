"""An installation without extras: what needs one says which, in one line; everything else works."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from crosslift.errors import CrossliftError, MissingPackage
from crosslift.extras import EXTRA_OF, missing, require

ROOT = Path(__file__).parents[1]
BLOCKED = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {packages}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocker())
from crosslift.cli import main
main()
"""
ALWAYS_ABSENT = ("pyarrow", "pandas", "narwhals", "icu")  # what extras bring along


def crosslift(*arguments: object, without: tuple[str, ...] = (*EXTRA_OF, *ALWAYS_ABSENT)):
    code = BLOCKED.format(packages=set(without))
    return subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True)


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("core") / "demo"
    assert crosslift("new", "demo", folder).returncode == 0
    return folder


@pytest.mark.parametrize(
    "kind", ["languages", "tasks", "readers", "trainers", "generators", "executors", "presets", "recipes", "models"]
)
def test_everything_is_listed_without_extras(kind: str):
    ended = crosslift("list", kind)
    assert ended.returncode == 0, ended.stderr
    assert len(ended.stdout.splitlines()) > 1


@pytest.mark.parametrize("command", ["plan", "status"])
def test_a_study_is_planned_without_extras(demo: Path, command: str):
    ended = crosslift(command, demo)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout


def test_a_check_without_extras_reads_the_corpora_and_says_what_it_could_not_look_at(demo: Path):
    ended = crosslift("check", demo)
    assert ended.returncode == 2
    assert "mixtures can be drawn" in ended.stdout
    assert ended.stderr.strip().endswith("pip install 'crosslift[train]'")
    assert len(ended.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("command", ["prepare", "run", "recommend"])
def test_a_command_that_needs_an_extra_names_it_in_one_line(demo: Path, command: str):
    ended = crosslift(command, demo)
    assert ended.returncode == 2
    assert "Run: pip install 'crosslift[" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


def test_a_run_that_could_not_be_reported_is_refused_before_it_begins(demo: Path):
    pytest.importorskip("transformers")  # without it, the message is of transformers
    ended = crosslift("run", demo, without=("vl_convert",))
    assert ended.returncode == 2
    assert "vl_convert" in ended.stderr
    assert "crosslift[report]" in ended.stderr
    assert not (demo / "lock.json").exists()


@pytest.mark.parametrize("kind", ["task", "reader", "check", "translator", "format", "executor"])
def test_members_are_imported_without_extras(kind: str):
    """So that a study that names one can be checked; what a member needs is imported where it is used."""
    code = f"from crosslift.discover import member, members\n[member({kind!r}, one) for one in members({kind!r})]"
    blocked = BLOCKED.format(packages={*EXTRA_OF, *ALWAYS_ABSENT}).replace(
        "from crosslift.cli import main\nmain()", code
    )
    ended = subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def test_a_missing_package_that_no_extra_brings_is_a_bug_and_stays_one():
    assert missing(ModuleNotFoundError("No module named 'crosslift.nowhere'", name="crosslift.nowhere")) is None
    assert missing(ImportError("cannot import name 'x' from 'torch'", name="torch")) is None
    ended = crosslift("list", "languages", without=("polars", "numpy", "rich"))
    assert "Traceback" in ended.stderr


def test_the_error_is_one_of_crosslift_and_an_import_error():
    with pytest.raises(MissingPackage, match=r"crosslift\[train\]") as caught:
        raise missing(ModuleNotFoundError("", name="transformers.models")) or AssertionError
    assert isinstance(caught.value, CrossliftError)
    assert isinstance(caught.value, ImportError)
    require("json")


def test_every_extra_that_a_message_names_exists_and_brings_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    for package, extra in EXTRA_OF.items():
        names = {one.replace("-", "_").replace(".", "_") for one in extras[extra]}
        assert any(name.startswith(package) for name in names), f"{package} is not in {extra}"
        assert not any(name.replace("-", "_").startswith(package) for name in project["dependencies"])
