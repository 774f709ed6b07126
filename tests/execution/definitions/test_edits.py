"""Edits of a finished study by the commands, forwards and back: exactly the necessary steps are computed, going back
computes none and restores the same bytes. `test_every_key` shows the same for every key, without executing a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from in_process import crosslift
from study_edits import Edit, apply, edits_of

from crosslift.execution.folder.steps import Step, fingerprint_of_inputs
from crosslift.studies.parsing.load import load

EDITS = {edit.name: edit for edit in edits_of("tiny")}
ALWAYS = ("learning_rate", "mixture", "max_items", "incomplete items", "an evaluation", "name of a model", "repeat")
"""Edits of the default tests; the others are executed one after another by a slow test, and one by one at length."""
AT_LENGTH = (pytest.mark.slow, pytest.mark.long)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the finished steps."""
    names: list[str] = []
    finish = Step.finish

    def counted(step: Step, **outputs: object) -> None:
        names.append(step.name)
        finish(step, **outputs)

    monkeypatch.setattr(Step, "finish", counted)
    return names


def contents(study: Path) -> dict[str, bytes]:
    """Every file that the present definition consists of."""
    other = ("earlier", "definitions", "logs")
    names = ("log.txt", "progress.json", ".hashes.json", ".finished.json", ".rebuilt.json")  # caches, and times
    return {
        path.relative_to(study).as_posix(): without_times(path)
        for path in study.rglob("*")
        if path.is_file()
        and path.relative_to(study).parts[0] not in other
        and path.name not in names
        and path != study / "report" / "done.json"
    }


def without_times(path: Path) -> bytes:
    if path.name != "done.json":
        return path.read_bytes()
    marker = json.loads(path.read_text())
    del marker["checksum"]
    for record in marker["files"].values():
        del record["mtime_ns"]
    return json.dumps(marker).encode()


def differing(study: Path, before: dict[str, bytes]) -> list[str]:
    now = contents(study)
    return sorted(name for name in now.keys() | before.keys() if now.get(name) != before.get(name))


def of_runs(names: list[str]) -> set[str]:
    return {name for name in names if name.startswith("runs/")}


@pytest.mark.parametrize(
    "edit",
    [pytest.param(edit, marks=() if edit.name in ALWAYS else AT_LENGTH) for edit in EDITS.values()],
    ids=lambda edit: edit.name,
)
def test_an_edit_computes_what_is_new_and_going_back_computes_nothing(edit: Edit, study, computed):
    before, original = contents(study), (study / "study.toml").read_text()
    apply(study, edit.replace)
    planned = crosslift("plan", study).text
    assert edit.said in planned
    assert contents(study).keys() == before.keys()  # `plan` moves nothing
    ran = crosslift("run", study)
    assert ran.code == 0, ran.text
    assert of_runs(computed) == edit.expected(load(study))
    if "read again" not in planned and "at most" not in planned:  # otherwise `run` knows more when it says so
        assert edit.said in ran.text
    assert crosslift("verify", study).code == 0
    assert "missing" not in crosslift("status", study).text

    computed.clear()
    (study / "study.toml").write_text(original)
    assert "changed" not in crosslift("status", study).text
    assert "Nothing to do" in crosslift("run", study).text
    assert of_runs(computed) == set()
    assert differing(study, before) == []
    assert crosslift("verify", study).code == 0


@pytest.mark.slow
def test_twenty_edits_one_after_another_are_all_kept_and_end_in_the_first_report(study, computed):
    original, before = (study / "study.toml").read_text(), contents(study)
    for edit in EDITS.values():
        (study / "study.toml").write_text(original)
        apply(study, edit.replace)
        ran = crosslift("run", study)
        assert ran.code == 0, ran.text
    first = len(of_runs(computed))
    for edit in EDITS.values():
        (study / "study.toml").write_text(original)
        apply(study, edit.replace)
        assert "Nothing to do" in crosslift("run", study).text
    assert len(of_runs(computed)) == first
    (study / "study.toml").write_text(original)
    crosslift("run", study)
    assert differing(study, before) == []


def test_an_edit_of_the_data_is_an_edit_too(study, computed):
    lines = (study / "test.jsonl").read_text()
    (study / "test.jsonl").write_text("\n".join(lines.splitlines()[:-3]) + "\n")
    assert "corpora.test is read again" in crosslift("plan", study).text
    assert "5 runs keep their training (evaluations.math: content changed)" in crosslift("run", study).text
    assert len(of_runs(computed)) == 15
    computed.clear()
    (study / "test.jsonl").write_text(lines)
    assert "Nothing to do" in crosslift("run", study).text
    assert of_runs(computed) == set()


def test_commands_that_read_results_say_that_the_study_was_edited(study):
    apply(study, EDITS["learning_rate"].replace)
    for command in ("report", "score"):
        told = crosslift(command, study)
        assert told.code == 2
        assert "study.toml has changed since the study was run: 4 runs change" in told.text
        assert "Run: crosslift run" in told.text
    assert "1 done, 4 changed" in crosslift("status", study).text
    apply(study, EDITS["seeds"].replace)
    assert "2 missing" in crosslift("status", study).text


def test_evaluations_that_are_left_are_named(study):
    apply(study, EDITS["an evaluation"].replace)
    status = crosslift("status", study).text
    assert "5 to evaluate" in status
    assert "more.es" in status


def test_an_interrupted_training_is_resumed_after_going_there_and_back(study, computed):
    original = (study / "study.toml").read_text()
    apply(study, EDITS["learning_rate"].replace)
    crosslift("prepare", study)
    run = study / "runs" / "tiny.en.s0"
    (run / "train").mkdir()
    fingerprint = json.loads((run / "run.json").read_text())["identity"]
    started = {"fingerprint": fingerprint_of_inputs(fingerprint["runs/tiny.en.s0/train"])}
    (run / "train" / "started.json").write_text(json.dumps(started))
    (run / "train" / "state").write_text("half of the steps")
    (study / "study.toml").write_text(original)
    crosslift("run", study)
    assert not (run / "train" / "state").exists()
    apply(study, EDITS["learning_rate"].replace)
    crosslift("run", study)
    assert (run / "train" / "state").exists()  # the fake trainer leaves it alone
