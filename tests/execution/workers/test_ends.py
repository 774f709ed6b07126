"""How `crosslift run` ends: 0 done, 1 some runs failed, 2 the user must change something."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from fake_study import FAKES


def crosslift(*arguments):
    environment = os.environ | {"PYTHONPATH": str(FAKES)}
    command = [sys.executable, "-m", "crosslift", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.mark.slow
def test_runs_that_failed_are_named_and_the_others_are_reported(study):
    (study / "faults.json").write_text(json.dumps({"tiny.en.s0": "error"}))
    ended = crosslift("run", study)
    assert ended.returncode == 1
    assert "tiny.en.s0 failed: the loss is not a number" in ended.stderr
    assert "4 of 5 runs are done." in ended.stdout
    assert (study / "report" / "index.html").is_file()
    (study / "faults.json").unlink()
    ended = crosslift("run", study)
    assert ended.returncode == 0
    assert "5 of 5 runs are done." in ended.stdout


def test_where_nothing_could_be_evaluated_there_is_no_report(study, graph_of):
    (study / "unanswered").touch()
    (study / "study.toml").write_text((study / "study.toml").read_text().replace("base = true", "base = false"))
    (study / "faults.json").write_text(json.dumps(dict.fromkeys(graph_of(study).runs, "error")))
    ended = crosslift("run", study)
    assert ended.returncode == 1
    assert "Nothing has been evaluated" in ended.stderr
    assert "Traceback" not in ended.stderr
    ended = crosslift("report", study)
    assert ended.returncode == 2
    assert "has been evaluated yet" in ended.stderr
