"""Two explorations of one folder at once, each a process with workers of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fake_study import FAKES, open_graph

from crosslift.execution.folder.store import Store
from crosslift.exploring.journal import read_entries


@pytest.mark.slow
@pytest.mark.long
def test_two_explorations_at_once_train_every_run_once_and_leave_one_journal(study: Path, tmp_path: Path):
    log = tmp_path / "trained.txt"
    paths = os.pathsep.join([str(FAKES), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "crosslift", "explore", str(study), "--runs", "4", "--batch", "2"]
    both = [
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=os.environ | {"PYTHONPATH": paths, "TRAINED_LOG": str(log)},
        )
        for _ in range(2)
    ]  # fmt: skip
    said = [one.communicate(timeout=300)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert all("Cannot tell after 4 runs" in text for text in said), said
    store = Store(study)
    entries = read_entries(store)
    explored = [one.run for entry in entries for one in entry.batch]
    trained = log.read_text().split()
    assert len(explored) == 4 and sorted(trained) == sorted(set(trained)) == sorted(explored)
    assert [entry.number for entry in entries] == list(range(1, len(entries) + 1)) and not store.damage_lines()
    assert [len(entry.batch) for entry in entries] == [2, 2, 0]
    assert {name for name, state in open_graph(study).states().items() if state.done} == set(explored)
