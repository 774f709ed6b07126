"""Earlier definitions stay addressable, and are removed only on request."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from in_process import crosslift

from crosslift.errors import UnknownName
from crosslift.execution.definitions.records import DefinitionStore, definitions
from crosslift.execution.folder.store import Store


def edit(study: Path, old: str, new: str) -> None:
    text = (study / "study.toml").read_text()
    assert old in text
    (study / "study.toml").write_text(text.replace(old, new))


@pytest.fixture
def edited(study: Path) -> Path:
    """Definition 1 with learning rate 1e-3, and the present one, 2, with 2e-3."""
    edit(study, "learning_rate = 1e-3", "learning_rate = 2e-3")
    assert crosslift("run", study).code == 0
    return study


def numbers(study: Path) -> list[int]:
    return [one.number for one in definitions(Store(study))]


def test_the_results_of_an_earlier_definition_are_read_wherever_they_lie(study):
    before = Store(study).scores(), Store(study).runs(), Store(study).training_metrics("tiny.en.s0")
    provenance = Store(study).provenance("tiny.en.s0")
    edit(study, "learning_rate = 1e-3", "learning_rate = 2e-3")
    edit(study, "[mixtures.en]", "[mixtures.english]")
    edit(study, 'control = "en"', 'control = "english"')
    assert crosslift("run", study).code == 0
    earlier = DefinitionStore(study, 1)
    now = earlier.scores(), earlier.runs(), earlier.training_metrics("tiny.en.s0")
    assert all(one.equals(other) for one, other in zip(before, now, strict=True))
    assert earlier.provenance("tiny.en.s0") == provenance
    assert not earlier.damage


def test_the_results_of_a_renamed_run_are_read_under_the_earlier_name(study):
    before = Store(study).scores()
    edit(study, "learning_rate = 1e-3", "learning_rate = 2e-3")
    assert crosslift("run", study).code == 0
    edit(study, "[models.tiny]", "[models.small]")
    assert crosslift("run", study).code == 0
    assert numbers(study) == [1, 2]
    assert DefinitionStore(study, 1).scores().equals(before)
    assert set(Store(study).scores()["run"]) == {name.replace("tiny", "small") for name in before["run"]}


def test_the_report_of_an_earlier_definition_is_that_which_it_had(study):
    page = (study / "report" / "index.html").read_text()
    edit(study, "learning_rate = 1e-3", "learning_rate = 2e-3")
    assert crosslift("run", study).code == 0
    told = crosslift("report", f"{study}@1")
    assert told.code == 0, told.text
    assert (study / "definitions" / "1" / "report" / "index.html").read_text() == page


def test_definitions_are_listed_with_what_differs(edited):
    told = crosslift("definitions", edited).text
    assert "training.learning_rate: 0.001 -> 0.002" in told
    assert "present" in told
    assert told.count("15/15") == 2


@pytest.mark.parametrize("recorded", [True, False], ids=["after the record was complete", "before"])
def test_what_a_process_left_that_was_killed_while_it_recorded_a_definition_is_removed(study, recorded):
    folder = study / "definitions" / "1"
    left = folder / ".lock.json.0123456789ab-1-1.01234567.tmp"  # of another machine, an hour ago
    left.touch()
    os.utime(left, (0, 0))
    if not recorded:
        (folder / "lock.json").unlink()
    assert crosslift("run", study).code == 0
    assert numbers(study) == [1]
    assert not left.exists()


def test_an_unknown_definition_is_named(edited):
    assert "has no definition 7. Known: 1, 2." in crosslift("report", f"{edited}@7").text
    with pytest.raises(UnknownName):
        DefinitionStore(edited, 3)


def test_a_definition_without_results_leaves_no_trace(study):
    for rate in ("2e-3", "3e-3", "4e-3"):
        edit(study, "learning_rate = ", f"learning_rate = {rate} # ")
        crosslift("prepare", study)
    assert numbers(study) == [1, 2]


def test_an_extension_is_the_same_definition_with_more_runs(study):
    edit(study, "seeds = [0, 1]", "seeds = [0, 1, 2]")
    assert crosslift("run", study).code == 0
    assert [(one.number, one.num_runs) for one in definitions(Store(study))] == [(1, 7)]


def test_a_change_of_names_and_questions_makes_no_definition(study):
    edit(study, 'name = "tiny"', 'name = "other"')
    edit(study, 'question = "', 'question = "Really? ')
    crosslift("run", study)
    assert numbers(study) == [1]
    assert "Really?" in (study / "definitions" / "1" / "study.toml").read_text()


def test_cleaning_frees_the_disk_of_earlier_definitions_only(edited):
    scores = (edited / "scores.parquet").read_bytes()
    told = crosslift("clean", edited)  # no answer to the question
    assert told.code == 1
    assert "4 trainings, 12 evaluations" in told.text
    assert (edited / "earlier").exists()
    assert crosslift("clean", edited, "--checkpoints", "--yes").code == 0
    assert not list((edited / "earlier").rglob("checkpoint"))
    assert crosslift("verify", edited).code == 0
    assert DefinitionStore(edited, 1).scores().height == 240
    assert crosslift("clean", edited, "--yes").code == 0
    assert not (edited / "earlier").exists()
    assert numbers(edited) == [2]
    assert "no results of earlier definitions" in crosslift("clean", edited).text
    assert "Nothing to do" in crosslift("run", edited).text
    assert (edited / "scores.parquet").read_bytes() == scores


def test_after_cleaning_going_back_computes_again(edited):
    crosslift("clean", edited, "--yes")
    edit(edited, "2e-3", "1e-3")
    assert "5 of 5 runs are done" in crosslift("run", edited).text


def test_a_definition_that_a_kill_prevented_is_recorded_by_the_next_start(study):
    before = {file.name: file.read_bytes() for file in (study / "definitions" / "1").iterdir()}
    shutil.rmtree(study / "definitions")
    assert "Nothing to do" in crosslift("run", study).text
    assert {file.name: file.read_bytes() for file in (study / "definitions" / "1").iterdir()} == before
