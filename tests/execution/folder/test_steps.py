"""A step is done only with the inputs that the study asks for now."""

from __future__ import annotations

import pytest

from crosslift.errors import StaleStep
from crosslift.execution.folder.steps import Step, differences


def step(folder, **inputs):
    return Step(name="runs/m.en.s3/train", folder=folder, inputs=inputs)


def test_a_step_is_done_when_its_marker_is_written(tmp_path):
    one = step(tmp_path / "train", a=1)
    assert one.result() is None
    one.begin()
    (one.folder / "file").touch()
    assert one.result() is None
    one.finish(seconds=2)
    assert one.result() == {"seconds": 2}


def test_a_stale_step_names_the_field_and_both_values(tmp_path):
    step(tmp_path, training={"learning_rate": 1e-5, "epochs": 3.0}).finish()
    changed = step(tmp_path, training={"learning_rate": 1e-4, "epochs": 3.0})
    assert not changed.done()
    with pytest.raises(StaleStep) as error:
        changed.result()
    assert str(error.value) == (
        "runs/m.en.s3/train is stale: training.learning_rate was 1e-05 and is now 1e-04. "
        "Move the folder or rename the study."
    )


def test_all_changes_are_named(tmp_path):
    was = {"a": True, "b": [1, 2], "c": {"d": None}}
    now = {"a": False, "b": [1, 3], "e": "x"}
    assert differences(was, now) == [
        "a was true and is now false",
        "b was [1, 2] and is now [1, 3]",
        "c was {d = none} and is now not set",
        "e was not set and is now x",
    ]


def test_what_lies_at_a_path_counts_and_not_the_path(tmp_path):
    step(tmp_path, corpus={"path": "a.jsonl", "content": "1"}).finish()
    assert step(tmp_path, corpus={"path": "b.jsonl", "content": "1"}).done()
    with pytest.raises(StaleStep, match=r"content was 1 and is now 2; corpus.path was a.jsonl and"):
        step(tmp_path, corpus={"path": "b.jsonl", "content": "2"}).result()


def test_what_a_killed_start_left_is_kept_for_the_same_inputs_only(tmp_path):
    for inputs, kept in (({"a": 1}, False), ({"a": 1}, True), ({"a": 2}, False)):
        one = step(tmp_path / "train", **inputs)
        one.begin()
        assert (one.folder / "state").exists() == kept
        (one.folder / "state").touch()
