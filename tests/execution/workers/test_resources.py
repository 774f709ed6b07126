"""What runs need decides which models share workers, and how many workers each group gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from crosslift.errors import StudyError
from crosslift.execution.workers.job import Job
from crosslift.execution.workers.resources import groups, need_of, problems
from crosslift.studies.site import Resources, Site, load_site


def job(models: dict[str, int], **site: object) -> Job:
    chosen = Site(**site)  # type: ignore[arg-type]
    return Job(
        folder=Path("s"), site=chosen, site_file=None, num_runs=9, session="s", logs=Path("s/logs"), models=models
    )


def test_models_with_equal_needs_share_workers():
    found = groups(job({"a": 2, "b": 3, "c": 4}, resources={"c": Resources(devices=2)}))
    assert [one.models for one in found] == [("a", "b"), ("c",)]
    assert [one.num_runs for one in found] == [5, 4]


@pytest.mark.parametrize("number", [2, 3, 5, 8, 50])
def test_all_groups_together_have_at_most_the_workers_of_the_site(number):
    found = groups(job({"a": 20, "b": 3}, num_workers=number, resources={"b": Resources(devices=2)}))
    assert all(one.num_workers >= 1 for one in found)
    assert sum(one.num_workers for one in found) == min(number, 23)
    assert all(one.num_workers <= one.num_runs for one in found)


def test_a_finished_group_keeps_its_number_and_gets_no_worker():
    found = groups(job({"a": 0, "b": 3}, resources={"b": Resources(devices=2)}))
    assert [(one.num_workers, one.num_jobs) for one in found] == [(0, 0), (3, 3)]


def test_runs_that_need_half_a_device_share_one():
    half = groups(job({"a": 8}, num_workers=4, resources={"a": Resources(devices=0.5, cores=2, memory_gb=3)}))[0]
    assert (half.num_jobs, half.workers_per_job) == (2, 2)
    assert (half.need.job_gpus, half.need.job_cores, half.need.job_memory_gb) == (1, 4, 6)
    alone = groups(job({"a": 8}, num_workers=1, resources={"a": Resources(devices=0.5)}))[0]
    assert (alone.num_jobs, alone.workers_per_job) == (1, 1)  # at most one worker was asked for


def test_devices_of_a_cpu_site_are_cores():
    need = need_of(Site(device="cpu", resources={"a": Resources(devices=2)}), "a")
    assert (need.job_gpus, need.job_cores) == (0, 2)
    need = need_of(Site(device="cpu", resources={"a": Resources(devices=0.5)}), "a")
    assert (need.runs_per_job, need.job_cores) == (2, 1)


def test_a_model_takes_what_it_does_not_say_from_the_default():
    site = Site(resources={"default": Resources(cores=4, hours=2), "big": Resources(devices=4)})
    need = need_of(site, "big")
    assert (need.devices, need.cores, need.hours) == (4, 4, 2)


def test_unknown_models_and_too_few_workers_are_told():
    bad = job({"a": 1, "b": 1}, num_workers=1, resources={"b": Resources(devices=2), "c": Resources()})
    first, second = problems(bad)
    assert "there is no model 'c'. Known: a, b, default." in first
    assert "num_workers: is 1, but the models need 2 different kinds of jobs" in second


def test_a_site_with_two_thirds_of_a_device_is_an_error(tmp_path):
    file = tmp_path / "site.toml"
    file.write_text("[resources.a]\ndevices = 0.66\n[resources.b]\ndevices = 0.5\nhuors = 3\n")
    with pytest.raises(StudyError, match=r"unknown key 'huors'"):
        load_site(file)
    file.write_text("[resources.a]\ndevices = 0.66\n[resources.b]\ndevices = 2.5\n")
    with pytest.raises(StudyError) as error:
        load_site(file)
    assert "resources.a.devices: is 0.66 and must be a whole number, or a fraction" in str(error.value)
    assert "resources.b.devices" in str(error.value)
