"""ARCHITECTURE.md is true: packages and files that it names exist, every package is named, and none grows too large."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import places

sys.path.insert(0, str(places.REPOSITORY / "tools"))

import rooms

SOURCE = places.REPOSITORY / "src" / "crosslift"
TEXT = (places.REPOSITORY / "ARCHITECTURE.md").read_text(encoding="utf-8")
PACKAGES, QUESTIONS = TEXT.split("## Where is")


def test_the_file_behind_every_question_exists():
    named = re.findall(r"`([a-z_/<>]+/[a-z_/<>.]*|[a-z_]+\.py)`", QUESTIONS)
    assert len(named) > 15
    for name in named:
        if name == "registry.py":
            name = "reporting/figures/registry.py"
        assert (SOURCE / name.partition("<")[0]).exists(), name


def test_every_package_and_module_of_the_first_level_stands_in_the_table():
    rows = re.findall(r"^\| (`.*?`) \|", PACKAGES, flags=re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([a-z_]+)`", row)}
    there = {path.stem for path in SOURCE.iterdir() if not path.stem.startswith(("_", "py."))}
    assert named == there - {"py"}


def test_no_package_holds_more_than_twelve_modules():
    files: dict[Path, int] = {}
    for file in SOURCE.rglob("*.py"):
        files[file.parent] = files.get(file.parent, 0) + 1
    assert {folder.name: number for folder, number in files.items() if number > rooms.MAX_MODULES} == {}


def test_architecture_is_one_page():
    assert len(TEXT.splitlines()) <= 80
