"""Jobs of a study are queued once, found again by whoever asks, and told when the site cannot work."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from crosslift import discover
from crosslift.errors import CrossliftError, StudyError
from crosslift.execution.workers import launch, queue
from crosslift.execution.workers.queue import Queue, Record, cancel, queue_lines
from crosslift.studies.site import Site


class Pretended:
    """A scheduler in this process."""

    def __init__(self):
        self.jobs, self.asked, self.wrong, self.answers = {}, 0, [], True

    def problems(self, job):
        return self.wrong

    def submit(self, record, job, wanted):
        for group, count in wanted.items():
            self.jobs[group] = self.jobs.get(group, 0) + count

    def look(self, record):
        self.asked += 1
        return Queue(running={}, waiting=dict(self.jobs)) if self.answers else None

    def cancel(self, record):
        self.jobs.clear()

    def launch(self, job, tick):
        queue.launch(job, tick)


@pytest.fixture
def pretended(monkeypatch):
    one = Pretended()
    real = discover.member
    for module in (queue, launch):
        monkeypatch.setattr(module, "member", lambda kind, name: one if name == "pretended" else real(kind, name))
    return one


def detached(graph, **site):
    return launch.run_detached(graph, Site(executor="pretended", **site), say=print)


def test_a_second_start_queues_nothing_and_says_what_is_queued(study, graph_of, pretended):
    said = detached(graph_of(study), num_workers=2)
    assert said.startswith("5 runs are left. pretended: 0 jobs running, 2 waiting; queued as crosslift-")
    assert "already queued as crosslift-" in detached(graph_of(study), num_workers=2)
    assert pretended.jobs == {0: 2}
    assert queue_lines(study) == [f"pretended: 0 jobs running, 2 waiting; queued as {queue.read_record(study).name}"]


def test_jobs_are_found_again_if_the_start_died_before_it_heard_of_them(study, graph_of, pretended, monkeypatch):
    submit = pretended.submit

    def die(record, job, wanted):
        submit(record, job, wanted)
        raise KeyboardInterrupt

    monkeypatch.setattr(pretended, "submit", die)
    with pytest.raises(KeyboardInterrupt):
        detached(graph_of(study), num_workers=2)
    monkeypatch.setattr(pretended, "submit", submit)
    assert "already queued" in detached(graph_of(study), num_workers=2)
    assert pretended.jobs == {0: 2}


def test_lost_jobs_are_queued_again(study, graph_of, pretended):
    detached(graph_of(study), num_workers=3)
    pretended.jobs[0] = 1
    detached(graph_of(study), num_workers=3)
    assert pretended.jobs == {0: 3}


def test_a_wrong_site_is_told_before_anything_is_queued_or_prepared(study, graph_of, pretended):
    pretended.wrong = ["site.toml, partition: there is no partition 'gpus'."]
    (study / "lock.json").unlink()
    with pytest.raises(StudyError, match="no partition 'gpus'"):
        detached(graph_of(study))
    with pytest.raises(StudyError, match="no partition 'gpus'"):
        launch.run(graph_of(study), Site(executor="pretended"), say=print, watch=lambda missing: lambda: None)
    assert not pretended.jobs
    assert not (study / "lock.json").exists()
    assert not (study / queue.FILE).exists()


def test_local_cannot_detach(study, graph_of):
    with pytest.raises(StudyError, match=r"'local' does not queue work\. Use one of: ray, slurm"):
        launch.run_detached(graph_of(study), Site(), say=print)


def test_cancel_ends_what_is_queued(study, graph_of, pretended):
    assert cancel(study) == "Nothing was queued."
    detached(graph_of(study), num_workers=2)
    assert cancel(study) == "Cancelled: 0 jobs running, 2 waiting. Finished work is kept."
    assert cancel(study) == "No job is queued or running."
    assert queue_lines(study) == []


def test_a_scheduler_that_does_not_answer_is_no_reason_to_queue_twice(study, graph_of, pretended, monkeypatch):
    monkeypatch.setattr(queue, "PATIENCE_SECONDS", 0.0)
    detached(graph_of(study))
    pretended.answers = False
    with pytest.raises(CrossliftError, match=r"does not answer\. Nothing was queued"):
        detached(graph_of(study))
    assert "does not answer" in queue_lines(study)[0]
    with pytest.raises(CrossliftError, match="Nothing was cancelled"):
        cancel(study)


def test_the_wait_asks_seldom_and_goes_on_while_the_controller_is_restarted(study, graph_of, pretended, monkeypatch):
    monkeypatch.setattr(queue, "TICK_SECONDS", 0.0)
    monkeypatch.setattr(queue, "LOOK_SECONDS", (0.05, 0.1))
    times = []

    def tick():
        times.append(1)
        pretended.answers = pretended.asked % 2 == 0
        if pretended.asked > 6:
            pretended.answers, pretended.jobs = True, {}

    graph = graph_of(study)
    job = launch._job(graph, Site(executor="pretended"), None, list(graph.runs))
    queue.launch(job, tick)
    assert pretended.asked < 12 < len(times)


def test_jobs_that_the_scheduler_holds_are_not_waited_for(study, graph_of, pretended, monkeypatch):
    monkeypatch.setattr(queue, "LOOK_SECONDS", (0.0, 0.0))
    held = Queue(running={}, waiting={0: 2}, reasons=("launch failed requeued held",), num_held=2)
    monkeypatch.setattr(pretended, "look", lambda record: held)
    graph = graph_of(study)
    job = launch._job(graph, Site(executor="pretended"), None, list(graph.runs))
    with pytest.raises(CrossliftError, match=r"holds all jobs of the study \(launch failed requeued held\)"):
        queue.launch(job, lambda: None)


def test_what_a_worker_could_not_do_is_told_by_the_start_that_waits(study, graph_of, pretended, monkeypatch):
    monkeypatch.setattr(queue, "LOOK_SECONDS", (0.0, 0.0))
    graph = graph_of(study)
    job = launch._job(graph, Site(executor="pretended"), None, list(graph.runs))

    def tick():
        queue.write_failure(job, "job-1", "torch is not installed on node7")
        pretended.jobs = {}

    with pytest.raises(CrossliftError, match="torch is not installed on node7"):
        queue.launch(job, tick)


def test_work_of_another_executor_must_end_first(study, graph_of, pretended):
    detached(graph_of(study))
    record = queue.read_record(study)
    other = replace(launch._job(graph_of(study), Site(executor="slurm"), None, ["tiny.base"]))
    with pytest.raises(CrossliftError, match=r"queued with executor 'pretended', which has .* crosslift cancel"):
        queue.queue_work(other)
    assert queue.read_record(study) == record


def test_a_damaged_record_is_named(study):
    (study / queue.FILE).write_text(json.dumps({"name": 3}))
    with pytest.raises(CrossliftError, match=r"queue\.json is damaged"):
        queue.read_record(study)


def test_a_record_names_the_jobs_of_every_group():
    assert Record(name="crosslift-ab", executor="slurm", groups=2).job_names() == ["crosslift-ab-0", "crosslift-ab-1"]


def test_a_start_waits_for_a_scheduler_that_is_started_again(study, graph_of, pretended, monkeypatch):
    monkeypatch.setattr(queue, "LOOK_SECONDS", (0.01, 0.01))
    detached(graph_of(study))
    answers, look = iter([False, False]), pretended.look
    monkeypatch.setattr(pretended, "look", lambda record: look(record) if next(answers, True) else None)
    assert "already queued" in detached(graph_of(study))
