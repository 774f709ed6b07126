"""A study killed between any two files ends in the same bytes."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys

import pytest
from fake_study import FAKES

NUM_KILLS = 24


def start(study, num_files, when):
    environment = os.environ | {"PYTHONPATH": str(FAKES)}
    command = [sys.executable, str(FAKES / "killed_start.py"), str(study), str(num_files), when]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def results(study):
    """Everything that tells what came out: tables, predictions, mixtures; nothing that tells when."""
    kept = ("scores.parquet", "runs.parquet", "predictions.parquet", "examples.parquet", "manifest.json", "ids.npy")
    return {path.relative_to(study): path.read_bytes() for path in study.rglob("*") if path.name in kept}


@pytest.mark.slow
def test_killed_between_any_two_files_it_ends_in_the_same_bytes(study):
    for made in ("corpora", "tokens", "mixtures", "runs"):
        shutil.rmtree(study / made)
    (study / "lock.json").unlink()
    undisturbed = shutil.copytree(study, study.parent / "undisturbed")
    ended = start(undisturbed, 0, "never")
    assert ended.returncode == 0, ended.stderr
    chance = random.Random(0)
    for _ in range(NUM_KILLS):
        ended = start(study, chance.randint(1, 12), chance.choice(["before", "after"]))
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert start(study, 0, "never").returncode == 0
    assert results(study) == results(undisturbed)
    assert len(results(study)) == 2 + 15 * 2 + 2 * 2 + 1 + 1  # the last one: runs.parquet of the definition
