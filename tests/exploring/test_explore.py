"""The loop: what it executes, when it ends, and that it goes on after any end."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from fake_study import open_graph
from in_process import crosslift

from crosslift.execution.folder.store import Store
from crosslift.exploring import explore as loop
from crosslift.exploring.journal import read_entries
from crosslift.system.leases import Lease


class Killed(BaseException):
    """Ends the process without any handler."""


def entries(study: Path):
    return read_entries(Store(study))


def batches(study: Path) -> list[str]:
    return [one.run for entry in entries(study) for one in entry.batch]


def finished(study: Path) -> set[str]:
    return {name for name, state in open_graph(study).states().items() if state.done}


def test_planned_runs_come_first_then_new_mixtures_until_the_budget_is_spent(study: Path):
    before = (study / "study.toml").read_bytes()
    told = crosslift("explore", study, "--runs", 7, "--batch", 3)
    assert told.code == 0, told.text
    assert "Cannot tell after 7 runs" in told.text and "the budget is spent" in told.text
    runs = batches(study)
    assert len(runs) == len(set(runs)) == 7 and set(runs) == finished(study)
    assert all("explored" not in run for run in runs[:5]) and all("explored" in run for run in runs[5:])
    assert [len(entry.batch) for entry in entries(study)] == [3, 3, 1, 0]  # the limit shortens the last batch
    graph = open_graph(study)
    contents = {run.mixture.name: tuple(sorted(run.mixture.amounts().items())) for run in graph.runs.values()}
    assert len(set(contents.values())) == len(contents)
    assert (study / "study.toml").read_bytes().startswith(before)
    assert crosslift("check", study).code == 0
    again = crosslift("explore", study, "--runs", 7)
    assert "Cannot tell after 7 runs" in again.text and len(entries(study)) == 4
    assert "explored" in crosslift("status", study).text


def test_it_stops_when_the_choice_is_as_sure_as_asked(study: Path):
    told = crosslift("explore", study, "--runs", 5, "--batch", 2, "--until", "within 40 points with probability .6")
    assert told.code == 0, told.text
    assert "Decided after 2 runs" in told.text
    assert "within 40 points with probability 0.6, as was asked" in told.text
    assert entries(study)[-1].decided and entries(study)[-1].probability >= 0.6
    assert len(finished(study)) == 2


@pytest.mark.parametrize(
    "place",
    [
        "execute",
        *(pytest.param(one, marks=pytest.mark.slow) for one in ("decide", "append_batch", "prepare", "write_entry")),
    ],
)
def test_a_call_that_was_killed_is_continued(study: Path, monkeypatch: pytest.MonkeyPatch, place: str):
    """Killed after the step, in the batch with the first new mixture."""
    step = getattr(loop, place)

    def killed(*arguments, **options):
        if place == "execute":  # one run of the batch is finished
            options["runs"] = options["runs"][:1]
        found = step(*arguments, **options)
        if "explored" in (study / "study.toml").read_text() or place == "decide":
            raise Killed
        return found

    with monkeypatch.context() as patch:
        patch.setattr(loop, place, killed)
        with pytest.raises(Killed):
            crosslift("explore", study, "--runs", 7, "--batch", 3)
    told = crosslift("explore", study, "--runs", 7, "--batch", 3)
    assert told.code == 0 and "Cannot tell after 7 runs" in told.text, told.text
    runs = batches(study)
    assert len(runs) == len(set(runs)) == 7 and set(runs) == finished(study) == set(open_graph(study).runs)


def test_a_second_call_joins_the_batch_of_the_first(study: Path, monkeypatch: pytest.MonkeyPatch):
    execute, calls = loop.execute, []

    def with_another(*arguments, **options):
        calls.append(options["runs"])
        if len(calls) == 1:  # the batch is decided and not yet executed
            assert "Continuing a batch" in crosslift("explore", study, "--runs", 4, "--batch", 2).text
        return execute(*arguments, **options)

    monkeypatch.setattr(loop, "execute", with_another)
    told = crosslift("explore", study, "--runs", 4, "--batch", 2)
    assert "Cannot tell after 4 runs" in told.text, told.text
    assert len(batches(study)) == len(set(batches(study))) == 4
    assert calls[0] == calls[1]


def test_a_run_that_another_process_executes_is_not_proposed(study: Path):
    with Lease(study / "runs" / "tiny.en-sw.s0"):
        told = crosslift("explore", study, "--runs", 2, "--batch", 2)
    assert told.code == 0, told.text
    assert len(batches(study)) == 2 and "tiny.en-sw.s0" not in batches(study)


def test_a_failed_run_is_named_and_left_out(study: Path, monkeypatch: pytest.MonkeyPatch):
    from crosslift.errors import TrainingError
    from crosslift.training.trainers import fake_amounts

    train, failing = fake_amounts.train, []

    def fail_first(request):
        failing.append(request.folder.parent.name)
        if request.folder.parent.name == failing[0]:
            raise TrainingError("the loss is not a number.")
        train(request)

    monkeypatch.setattr("crosslift.training.trainers.fake_amounts.train", fail_first, raising=False)
    told = crosslift("explore", study, "--runs", 4, "--batch", 2)
    assert told.code == 1 and f"{failing[0]} failed: the loss is not a number." in told.text, told.text
    assert len(batches(study)) == len(set(batches(study))) == 4 and len(finished(study)) == 3


def test_a_batch_of_failures_ends_it(study: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("crosslift.training.trainers.fake_amounts.train", lambda request: 1 / 0, raising=False)
    told = crosslift("explore", study, "--runs", 4, "--batch", 2)
    assert told.code == 2 and "every run of the batch failed" in told.text and len(batches(study)) == 2


def test_hours_limit_it_as_well(study: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("crosslift.exploring.cost._seconds", lambda store, run: (1800.0, 900.0))
    told = crosslift("explore", study, "--gpu-hours", 2, "--batch", 2)
    assert "Cannot tell after 2 runs and 1.5 hours of workers (limit: 2 GPU hours)" in told.text, told.text


def test_a_study_file_that_cannot_be_extended_stays_as_it_is(study: Path):
    crosslift("explore", study, "--runs", 5, "--batch", 5)
    text = (study / "study.toml").read_text() + "\n[arms]\n"
    inline = text.replace("[arms]", "").replace('name = "tiny"\n', 'name = "tiny"\narms = {}\n', 1)
    (study / "study.toml").write_text(inline)
    told = crosslift("explore", study, "--runs", 6)
    assert told.code == 2 and "study.toml cannot be extended" in told.text, told.text
    assert (study / "study.toml").read_text() == inline


def test_a_damaged_entry_of_the_journal_is_skipped_and_its_number_kept(study: Path):
    crosslift("explore", study, "--runs", 2, "--batch", 2)
    file = study / "exploration" / "0001.json"
    file.write_text(file.read_text().replace('"num_finished": 0', '"num_finished": 9'))
    store = Store(study)
    assert [entry.number for entry in read_entries(store)] == [2]
    assert "exploration/0001.json" in store.damage_lines()[0]
    shutil.rmtree(study / "exploration")
    assert crosslift("explore", study, "--runs", 1).code == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "Nothing limits the exploration. Give --runs or --gpu-hours."),
        (["--runs", "2", "--until", "soon"], 'must be of the form "within 1 point with probability .9"'),
        (["--runs", "2", "--until", "within 0 points with probability 2"], "must be between 0 and 1"),
        (["--gpu-hours", "-1"], "must be a finite number above 0"),
        (["--runs", "2", "--model", "tyni"], "unknown model 'tyni'. Known: tiny."),
    ],
)
def test_wrong_options_are_refused_before_anything_is_executed(study: Path, options: list[str], message: str):
    before = (study / "study.toml").read_bytes()
    told = crosslift("explore", study, *options)
    assert told.code == 2 and message in told.text, told.text
    assert (study / "study.toml").read_bytes() == before and not finished(study)
