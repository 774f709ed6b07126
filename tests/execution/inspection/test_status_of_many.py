"""Status of many runs: what was verified is not verified again, and every change is noticed."""

from __future__ import annotations

import json
import shutil

import pytest

from crosslift.cli import display
from crosslift.execution.folder.steps import Step
from crosslift.execution.inspection import finished
from crosslift.execution.inspection.status import quick_status, status
from crosslift.execution.workers.worker import work
from crosslift.studies.parsing.load import load


@pytest.fixture
def done(study):
    assert work(load(study), ["tiny.en.s0", "tiny.base"])
    return study


def states(graph):
    return {one.run: one.what for one in quick_status(graph)}


def test_the_quick_status_is_that_of_a_full_look(done, graph_of):
    full = {one.run: (one.what, one.expected.num_steps, one.expected.evaluations) for one in status(graph_of(done))}
    for _ in range(2):
        quick = quick_status(graph_of(done))
        assert {one.run: (one.what, one.expected.num_steps, one.expected.evaluations) for one in quick} == full


def test_a_second_look_verifies_no_finished_run(done, graph_of, monkeypatch):
    quick_status(graph_of(done))
    looked = []
    state = Step.state
    monkeypatch.setattr(Step, "state", lambda step, **options: looked.append(step.name) or state(step, **options))
    quick_status(graph_of(done))
    assert not [name for name in looked if name.startswith("runs/")]


@pytest.mark.parametrize("file", ["eval/math.sw/scores.parquet", "eval/math.en/done.json", "train/metrics.parquet"])
def test_a_damaged_or_removed_file_is_noticed(done, graph_of, file):
    assert states(graph_of(done))["tiny.en.s0"] == "done"
    path = done / "runs" / "tiny.en.s0" / file
    path.write_bytes(path.read_bytes() + b"x")
    assert states(graph_of(done))["tiny.en.s0"] != "done" or quick_status(graph_of(done))[1].message
    path.unlink()
    quick, full = quick_status(graph_of(done)), status(graph_of(done))
    assert [(one.run, one.what, one.message) for one in quick] == [(one.run, one.what, one.message) for one in full]


def test_an_edited_study_is_noticed(done, graph_of):
    assert states(graph_of(done))["tiny.en.s0"] == "done"
    text = (done / "study.toml").read_text()
    (done / "study.toml").write_text(text.replace("learning_rate = 1e-3", "learning_rate = 2e-3"))
    assert states(graph_of(done))["tiny.en.s0"] == "changed"


def test_a_removed_run_is_missing(done, graph_of):
    quick_status(graph_of(done))
    shutil.rmtree(done / "runs" / "tiny.en.s0" / "eval")
    assert states(graph_of(done))["tiny.en.s0"] == "to evaluate"


def test_a_damaged_memory_is_ignored(done, graph_of):
    expected = states(graph_of(done))
    for text in ("{", "[]", json.dumps({"key": "another"})):
        (done / finished.FILE).write_text(text)
        assert states(graph_of(done)) == expected


def test_a_long_table_has_the_rows_of_a_short_one(done, graph_of, capsys, monkeypatch):
    display.print_status(graph_of(done))
    short = [line.split() for line in capsys.readouterr().out.splitlines()]
    monkeypatch.setattr(display, "MAX_ROWS_OF_RICH", 0)
    display.print_status(graph_of(done))
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == short
