"""A small share of benchmarks/faults.py: a few kills and kinds of faults. test_resume.py kills the real trainer."""

from __future__ import annotations

import json
import subprocess
import sys

import places
import pytest

KINDS = ("random", "disk", "stopped", "starts")


@pytest.mark.slow
def test_whatever_happens_a_study_ends_in_the_same_bytes_and_leaves_nothing(tmp_path):
    options = ("--cases", "6", "--kinds", *KINDS, "--native", "0")
    command = [sys.executable, str(places.REPOSITORY / "benchmarks" / "faults.py"), str(tmp_path), *options]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    rows = [json.loads(line) for line in (tmp_path / "cases.jsonl").read_text().splitlines()]
    assert all(row["completed"] for row in rows if "skipped" not in row)
    assert f"| all |  | {sum('skipped' not in row for row in rows)} |" in ended.stdout
    again = subprocess.run([*command, "--table"], capture_output=True, text=True)
    assert again.stdout == ended.stdout[-len(again.stdout) :]
