"""An observer tells what changed in the folder of a study, reads nothing else again, and writes nothing."""

from __future__ import annotations

import json
import os
import time

import pytest
from live_study import finish_evaluation, running, train

from crosslift.execution.inspection import status as status_module
from crosslift.execution.workers.worker import work
from crosslift.viewing import observer as observer_module
from crosslift.viewing.observer import Observer, open_read_only

RUN, OTHER = "tiny.en.s0", "tiny.en-sw.s1"


@pytest.fixture
def observer(graph):
    return Observer(lambda: open_read_only(graph.study.folder))


def rows(answer):
    return {row["run"]: row for row in answer["runs"]}


def settle(observer):
    """Look once after the changes are old enough for their times to be trusted."""
    time.sleep(observer_module.UNSETTLED_SECONDS + 0.1)
    return observer.changes()


def test_a_first_look_has_all_runs_and_the_next_one_none(observer):
    first = observer.changes()
    assert first["all"] and list(rows(first)) == list(observer.graph.runs)
    assert {row["state"] for row in first["runs"]} == {"missing"}
    second = observer.changes(first["version"])
    assert not second["all"] and second["runs"] == []
    assert second["version"] == first["version"]
    assert first["summary"]["num_runs"] == 5 and first["summary"]["counts"] == {"missing": 5}


def test_only_the_run_that_changed_is_sent_with_its_losses(observer, graph):
    before = observer.changes()["version"]
    with running(graph, RUN) as progress:
        train(progress, 2, loss=1.5)
        found = observer.changes(before)
        (row,) = found["runs"]
        assert (row["run"], row["state"], row["phase"], row["step"], row["loss"]) == (
            RUN,
            "running",
            "training",
            2,
            1.5,
        )
        assert row["losses"] == {"en": 1.5, "sw": 2.5}
        assert found["summary"]["counts"] == {"missing": 4, "running": 1}
        train(progress, 3, loss=1.25)
        (row,) = observer.changes(found["version"])["runs"]
        assert row["loss"] == 1.25
        assert observer.details(RUN)["curve"]["sw"] == [2.25] * 3
    (row,) = observer.changes(found["version"])["runs"]
    assert row["state"] == "missing"


def test_scores_appear_as_evaluations_finish(observer, graph):
    before = observer.changes()["version"]
    with running(graph, RUN) as progress:
        finish_evaluation(graph, RUN, "en")
        progress._written = 0.0
        progress.update(phase="evaluating math.es", evaluations=1)
        (row,) = observer.changes(before)["runs"]
    assert row["scores"] == {"math": {"en": 0.5}}
    assert row["unscored"] == {"unparsed": 1} and row["num_answers"] == 2
    found = observer.details(RUN)
    assert [one["kind"] for one in found["samples"]] == ["unparsed", "correct"]
    assert found["results"][0]["counts"] == {"scored": 1, "unparsed": 1}


def test_a_failure_is_shown_with_its_message_and_disappears_when_the_run_is_started_again(observer, graph):
    before = observer.changes()["version"]
    graph.store.run_folder(RUN).mkdir(parents=True, exist_ok=True)
    graph.store.write_error(RUN, error="TrainingError", message="the loss is not finite")
    found = observer.changes(before)
    (row,) = found["runs"]
    assert row["state"] == "failed" and "not finite" in row["message"]
    graph.store.clear_errors([RUN])
    (row,) = observer.changes(found["version"])["runs"]
    assert row["state"] == "missing" and row["message"] == ""


def test_a_finished_study_is_shown_as_finished(observer, graph):
    assert work(graph.study)
    found = observer.changes()
    assert found["summary"]["counts"] == {"done": 5}
    assert found["summary"]["share"] == 1.0
    assert all(set(row["scores"]["math"]) == {"en", "es", "sw"} for row in found["runs"])


def test_an_edited_study_is_loaded_again_and_an_invalid_one_is_named_and_the_old_one_shown(observer, graph):
    before = observer.changes()["version"]
    file = graph.study.folder / "study.toml"
    text = file.read_text()
    file.write_text(text + "\nnonsense = [")
    found = observer.changes(before)
    assert "study.toml" in found["summary"]["problem"] and found["summary"]["num_runs"] == 5
    file.write_text(text.replace("seeds = [0, 1]", "seeds = [0]"))
    found = observer.changes(before)
    assert found["all"] and len(found["runs"]) == 3 and found["summary"]["problem"] == ""


def test_looking_writes_nothing_even_beside_a_lease_of_another_machine(observer, graph):
    folder = graph.store.run_folder(OTHER)
    folder.mkdir(parents=True, exist_ok=True)
    owner = {"token": "x", "machine_id": "elsewhere", "pid": 1, "started": "1", "session": "", "deaths": 0}
    (folder / "lease.0.json").write_text(json.dumps(owner))
    os.utime(folder / "lease.0.json", (0, 0))
    with running(graph, RUN) as progress:
        train(progress, 1, loss=2.0)
        paths = [graph.study.folder, *graph.study.folder.rglob("*")]
        times = {path: path.stat().st_mtime_ns for path in paths if "lease" not in path.name}
        for _ in range(3):
            observer.changes()
            observer.details(RUN)
        Observer(lambda: open_read_only(graph.study.folder)).changes()
        after = {path: path.stat().st_mtime_ns for path in [graph.study.folder, *graph.study.folder.rglob("*")]}
    assert {path: time for path, time in after.items() if "lease" not in path.name} == times


def test_a_look_at_a_quiet_study_reads_no_file_of_a_run(observer, monkeypatch):
    version = settle(observer)["version"]

    def read(*_):
        raise AssertionError("a run that did not change was read")

    monkeypatch.setattr(observer_module, "status", read)
    monkeypatch.setattr(status_module, "read_progress", read)
    assert observer.changes(version)["runs"] == []


def test_a_look_at_2000_quiet_runs_takes_less_than_a_tenth_of_a_second(graph, tmp_path):
    """Measured on the look itself: the loop over the runs, with real folders."""
    text = (graph.study.folder / "study.toml").read_text()
    many = text.replace("seeds = [0, 1]", f"seeds = {[*range(1000)]}")
    (graph.study.folder / "study.toml").write_text(many)
    opened = open_read_only(graph.study.folder)
    for name in opened.runs:
        opened.store.run_folder(name).mkdir(parents=True, exist_ok=True)
    observer = Observer(lambda: opened)
    assert len(observer.graph.runs) == 2001
    version = settle(observer)["version"]
    spent = []
    for _ in range(5):
        started = time.process_time()
        answer = observer.changes(version)
        spent.append(time.process_time() - started)
    assert answer["runs"] == [] and len(json.dumps(answer)) < 1000
    assert min(spent) < 0.1, spent
