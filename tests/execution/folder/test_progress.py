"""The time that is left comes from measured times."""

from __future__ import annotations

import json

import pytest

from crosslift.execution.folder.progress import (
    EVALUATION_STEPS,
    ExpectedWork,
    Progress,
    ProgressWriter,
    read_progress,
    total_progress,
)
from crosslift.execution.inspection.status import StatusPoller, status
from crosslift.execution.workers.worker import work


def expected(*, num_steps=100, num_evaluations=2, trained=False, evaluations=0):
    return ExpectedWork(num_steps=num_steps, num_evaluations=num_evaluations, trained=trained, evaluations=evaluations)


def test_progress_is_written_at_once_when_the_phase_changes_and_rarely_otherwise(tmp_path):
    reporter = ProgressWriter(tmp_path, num_evaluations=2)
    reporter.update(phase="training", step=1)
    assert read_progress(tmp_path).step == 1
    reporter.update(step=2)
    assert read_progress(tmp_path).step == 1
    reporter.update(phase="done", step=3)
    assert read_progress(tmp_path).step == 3


def test_time_left_is_what_is_left_at_the_measured_pace_over_the_workers():
    half = Progress(phase="training", step=50, num_steps=100, train_seconds=100.0, num_evaluations=2)
    ended = Progress(
        phase="done", step=100, train_seconds=200.0, evaluations=2, num_evaluations=2, evaluate_seconds=10.0
    )
    found = total_progress(
        [("a", expected(), half, True), ("b", expected(trained=True, evaluations=2), ended, False)], num_workers=1
    )
    assert found.seconds_left == pytest.approx(50 * 2.0 + 2 * 5.0)
    assert found.done == 150 + 2 * 2.5  # an evaluation takes as long as 2.5 steps
    assert found.total == 200 + 4 * 2.5
    assert set(found.active) == {"a"}


def test_evaluations_are_not_foretold_from_steps():
    training = Progress(phase="training", step=50, num_steps=100, train_seconds=100.0, num_evaluations=2)
    found = total_progress([("a", expected(), training, True)], num_workers=1)
    assert found.seconds_left is None
    assert found.total == 100 + 2 * EVALUATION_STEPS
    training.evaluations, training.evaluate_seconds = 1, 60.0  # the other language may take longer
    assert total_progress([("a", expected(), training, True)], num_workers=1).seconds_left is None


def test_runs_that_have_not_begun_take_what_finished_runs_took_beside_training_and_evaluating():
    ended = Progress(
        phase="done",
        step=100,
        train_seconds=200.0,
        evaluations=2,
        num_evaluations=2,
        evaluate_seconds=10.0,
        seconds=250,
    )
    runs = [("a", expected(trained=True, evaluations=2), ended, False), ("b", expected(), None, False)]
    assert total_progress(runs, num_workers=1).seconds_left == pytest.approx(200 + 10 + 40)


def test_a_model_that_was_not_measured_takes_time_by_its_parameters():
    """The runs of the smaller model come first; at 18 % of a study of eight minutes, three were promised."""

    def of(model: str, num_parameters: int, **fields):
        return ExpectedWork(
            num_steps=100,
            num_evaluations=2,
            trained=bool(fields),
            evaluations=2 if fields else 0,
            model=model,
            num_parameters=num_parameters,
        )

    ended = Progress(
        phase="done", step=100, train_seconds=50.0, evaluations=2, num_evaluations=2, evaluate_seconds=20.0
    )
    runs = [("a", of("small", 1000, ended=True), ended, False), ("b", of("large", 3000), None, False)]
    found = total_progress(runs, num_workers=1)
    assert found.seconds_left == pytest.approx(3 * (50.0 + 20.0))
    assert found.done / found.total == pytest.approx(1 / 4)
    both = [*runs, ("c", of("large", 3000), Progress(step=50, train_seconds=50.0, num_evaluations=2), True)]
    assert total_progress(both, num_workers=1).seconds_left == pytest.approx(100 + 50 + 2 * 60)


def test_nothing_measured_is_no_promise():
    assert total_progress([("a", expected(), None, False)], num_workers=2).seconds_left is None


def test_a_survey_sees_runs_end_and_fail(study, graph_of):
    graph = graph_of(study)
    survey = StatusPoller(graph, graph.runs.values())
    assert {one.what for one in survey.look()} == {"missing"}
    (study / "faults.json").write_text(json.dumps({"tiny.en.s0": "error"}))
    work(graph.study)
    assert [one.what for one in survey.look()] == ["done", "failed", "done", "done", "done"]


def test_an_unprepared_study_is_missing_altogether(study, graph_of):
    (study / "lock.json").unlink()
    assert {one.what for one in status(graph_of(study))} == {"missing"}
