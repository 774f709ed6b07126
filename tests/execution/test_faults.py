"""A small share of benchmarks/faults.py: every kind of fault once, a few kills, and the real trainer."""

from __future__ import annotations

import json
import subprocess
import sys

import places
import pytest


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ("--cases", "6", "--kinds", "random", "disk", "stopped", "starts", "--native", "0"),
        ("--cases", "0", "--kinds", "random", "--native", "1"),
    ],
)
def test_whatever_happens_a_study_ends_in_the_same_bytes_and_leaves_nothing(tmp_path, options):
    command = [sys.executable, str(places.REPOSITORY / "benchmarks" / "faults.py"), str(tmp_path), *options]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    rows = [json.loads(line) for line in (tmp_path / "cases.jsonl").read_text().splitlines()]
    assert all(row["completed"] for row in rows if "skipped" not in row)
    assert f"| all |  | {sum('skipped' not in row for row in rows)} |" in ended.stdout
    again = subprocess.run([*command, "--table"], capture_output=True, text=True)
    assert again.stdout == ended.stdout[-len(again.stdout) :]
