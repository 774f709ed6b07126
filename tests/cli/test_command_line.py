"""The command line: its names, its exit codes, its speed."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest
import typer
from typer.testing import CliRunner

from crosslift.cli import app
from crosslift.cli.display import duration

runner = CliRunner()

COMMANDS = {"new", "check", "plan", "prepare", "run", "status", "work", "score", "report", "list", "schema"}
HEAVY = ("torch", "transformers", "polars", "numpy", "altair", "pydantic")


def call(*arguments):
    return subprocess.run([sys.executable, "-m", "crosslift", *arguments], capture_output=True, text=True)


def test_the_commands_are_these():
    assert typer.main.get_command(app).commands.keys() >= COMMANDS


def test_help_is_fast_and_loads_nothing_heavy():
    code = (
        f"import sys, crosslift.cli; found = [name for name in {HEAVY} if name in sys.modules]; assert not found, found"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    seconds = []
    for _ in range(3):
        begun = time.perf_counter()
        assert "Which languages" in call("--help").stdout
        seconds.append(time.perf_counter() - begun)
    assert min(seconds) < 1.0  # 0.15 s on a quiet machine


def test_new_writes_a_study_that_is_whole(tmp_path):
    result = runner.invoke(app, ["new", "demo", str(tmp_path / "mine")])
    assert result.exit_code == 0
    assert (tmp_path / "mine" / "study.toml").is_file()
    again = call("new", "demo", str(tmp_path / "mine"))
    assert again.returncode == 2
    assert "is not an empty folder" in again.stderr


def test_a_mistake_of_the_user_is_told_without_a_traceback_and_ends_with_code_2(tmp_path):
    ended = call("plan", str(tmp_path))
    assert ended.returncode == 2
    assert "study.toml does not exist" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_bug_keeps_its_traceback():
    code = (
        "import crosslift.cli, sys; crosslift.cli.commands.studies.open_study = lambda folder, **more: 1 / 0;"
        "sys.argv = ['crosslift', 'plan', '.']; crosslift.cli.main()"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode == 1
    assert "ZeroDivisionError" in ended.stderr
    assert "Traceback" in ended.stderr


@pytest.mark.parametrize("kind", ["languages", "tasks", "readers", "trainers", "generators", "executors", "presets"])
def test_every_kind_is_listed(kind):
    result = runner.invoke(app, ["list", kind])
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) > 1


def test_the_schema_is_json():
    result = runner.invoke(app, ["schema"])
    assert "properties" in json.loads(result.stdout)


@pytest.mark.parametrize(
    ("seconds", "text"), [(40, "40 s"), (720, "12 min"), (12_000, "3 h 20 min"), (187_200, "2 d 4 h")]
)
def test_durations_are_short(seconds, text):
    assert duration(seconds) == text
