"""A step is done only with the inputs that the study asks for now."""

from __future__ import annotations

from pathlib import Path

from crosslift.execution.folder.steps import SharedInputs, Step, fingerprint_of_inputs
from crosslift.fingerprint import canonical, fingerprint


def step(folder, **inputs):
    name = "runs/m.en.s3/train"
    return Step(name=name, folder=folder, inputs=inputs, archive=Path(folder).with_name("earlier"))


def test_a_step_is_done_when_its_marker_is_written(tmp_path):
    one = step(tmp_path / "train", a=1)
    assert one.result() is None
    one.begin()
    (one.folder / "file").touch()
    assert one.result() is None
    one.finish(seconds=2)
    assert one.result() == {"seconds": 2}


def test_what_lies_at_a_path_counts_and_not_the_path(tmp_path):
    one = step(tmp_path / "train", corpus={"path": "a.jsonl", "content": "1"})
    one.begin()
    one.finish()
    assert step(tmp_path / "train", corpus={"path": "b.jsonl", "content": "1"}).done()
    assert not step(tmp_path / "train", corpus={"path": "b.jsonl", "content": "2"}).done()


def finish(one, text):
    one.begin()
    (one.folder / "file").write_text(text)
    one.finish(seconds=len(text))


def test_a_result_of_other_inputs_is_moved_aside_and_back(tmp_path):
    first, second = step(tmp_path / "train", a=1), step(tmp_path / "train", a=2)
    finish(first, "first")
    assert second.result() is None
    finish(second, "second")
    assert not first.done()
    assert first.state().kept_aside
    assert first.result() == {"seconds": 5}
    assert (first.aside / "file").read_text() == "first"
    assert first.take_back()
    assert first.done()
    assert (first.folder / "file").read_text() == "first"
    assert second.result() == {"seconds": 6}
    assert not first.take_back()


def test_a_damaged_result_is_not_taken_back(tmp_path):
    first, second = step(tmp_path / "train", a=1), step(tmp_path / "train", a=2)
    finish(first, "first")
    finish(second, "second")
    (first.aside / "file").write_text("other")
    assert first.result() is None
    assert not first.take_back()
    assert second.done()


def test_a_result_is_found_under_another_name(tmp_path):
    first, second = step(tmp_path / "train", a=1), step(tmp_path / "train", a=2)
    finish(first, "first")
    finish(second, "second")
    other = Step(name="runs/m.english.s3/train", folder=tmp_path / "other", inputs={"a": 1}, archive=first.archive)
    assert other.take_back()
    assert other.done()
    assert not first.aside.exists()


def test_the_marker_of_another_step_is_damage(tmp_path):
    finish(step(tmp_path / "train", a=1), "first")
    other = Step(name="runs/m.english.s3/train", folder=tmp_path / "train", inputs={"a": 1})
    assert [one.what for one in other.state().damage] == ["belongs to runs/m.en.s3/train"]


def test_what_a_killed_start_left_is_kept_for_the_same_inputs_only(tmp_path):
    for inputs, kept in (({"a": 1}, False), ({"a": 1}, True), ({"a": 2}, False), ({"a": 1}, True)):
        one = step(tmp_path / "train", **inputs)
        one.begin()
        assert (one.folder / "state").exists() == kept
        (one.folder / "state").touch()


def test_shared_inputs_change_no_fingerprint():
    inputs = {
        "seed": 3,
        "model": {"path": "Qwen/Qwen3", "revision": None, "Ärger": [1.5, ("a", True)]},
        "corpora": {"b": {"path": "/data/b", "max_items": 4}, "a": {"path": "/data/a", "options": {}}},
        "validation": None,
        "path": "left out",
    }
    shared = {key: SharedInputs(part) if isinstance(part, dict) else part for key, part in inputs.items()}
    without_paths = {
        "seed": 3,
        "model": {"revision": None, "Ärger": [1.5, ("a", True)]},
        "corpora": {"b": {"max_items": 4}, "a": {"options": {}}},
        "validation": None,
    }
    assert fingerprint_of_inputs(shared) == fingerprint_of_inputs(inputs) == fingerprint(without_paths)
    assert canonical(shared) == canonical(inputs)
