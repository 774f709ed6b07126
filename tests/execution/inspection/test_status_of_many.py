"""Status of many runs: what was verified is not verified again, and every change is noticed."""

from __future__ import annotations

import json
import shutil
import sys

import pytest
from places import REPOSITORY

from crosslift.cli import display
from crosslift.execution.folder.steps import Step
from crosslift.execution.inspection import finished
from crosslift.execution.inspection.status import note_finished, quick_status, status
from crosslift.execution.workers.worker import work
from crosslift.studies.parsing.load import load

sys.path.insert(0, str(REPOSITORY / "benchmarks"))

import scaling


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


def verified(monkeypatch, graph):
    """The steps of finished runs that a look at the status verifies."""
    looked = []
    state = Step.state
    with monkeypatch.context() as patch:
        patch.setattr(Step, "state", lambda step, **options: looked.append(step.name) or state(step, **options))
        quick_status(graph)
    done = {name for name, state in graph.states().items() if state.done}
    return [name for name in looked if name.startswith("runs/") and name.split("/")[1] in done]


def test_what_its_worker_or_an_earlier_look_has_verified_is_not_verified_again(done, graph_of, monkeypatch):
    assert verified(monkeypatch, graph_of(done)) == []  # by the notes of the worker
    shutil.rmtree(done / "logs" / "finished")
    assert verified(monkeypatch, graph_of(done)) == []  # by the first look
    (done / finished.FILE).unlink()
    assert verified(monkeypatch, graph_of(done)) != []
    assert verified(monkeypatch, graph_of(done)) == []


@pytest.mark.parametrize("damage", ["emptied", "truncated", "swapped", "another object", "a folder"])
def test_a_damaged_note_of_a_worker_is_ignored(done, graph_of, monkeypatch, damage):
    notes = sorted((done / "logs" / "finished").iterdir())
    texts = [note.read_bytes() for note in notes]
    assert len(notes) == 2
    for note, own, other in zip(notes, texts, reversed(texts), strict=True):
        note.unlink()
        if damage == "a folder":
            note.mkdir()
            continue
        changed = {
            "emptied": b"",
            "truncated": own[:-9],
            "swapped": other,
            "another object": b'{"key": 1, "names": [1]}',
        }
        note.write_bytes(changed[damage])
    assert len(verified(monkeypatch, graph_of(done))) > 2
    assert states(graph_of(done))["tiny.en.s0"] == "done"


@pytest.mark.parametrize("how", ["removed", "emptied", "truncated"])
def test_damage_since_the_worker_finished_is_noticed_at_the_first_look(done, graph_of, how):
    file = done / "runs" / "tiny.en.s0" / "eval" / "math.en" / "predictions.parquet"
    if how == "removed":
        file.unlink()
    else:
        file.write_bytes(b"" if how == "emptied" else file.read_bytes()[:-1])
    found = {one.run: one for one in quick_status(graph_of(done))}
    assert found["tiny.en.s0"].what == "damaged"
    assert "eval/math.en/predictions.parquet" in found["tiny.en.s0"].message
    assert found["tiny.base"].what == "done"


@pytest.mark.slow
def test_the_study_of_the_benchmark_of_scaling_is_as_workers_leave_it(tmp_path, graph_of, monkeypatch):
    scaling.generate(tmp_path / "study", 40, finished=True)
    assert verified(monkeypatch, graph_of(tmp_path / "study")) == []
    assert set(states(graph_of(tmp_path / "study")).values()) == {"done"}


def test_a_run_that_another_worker_took_over_is_not_noted(study, graph_of):
    graph = graph_of(study)
    note_finished(graph, graph.runs["tiny.en.s0"], graph.store.lock()["runs"], key=finished.definition_key(graph))
    assert not finished.noted(graph.store)


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
