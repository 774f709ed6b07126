"""Files that are no files, and what a study of bounded size may still ask."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from crosslift.errors import StudyError
from crosslift.studies.parsing import limits
from crosslift.studies.parsing.load import load
from crosslift.studies.site import load_site


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_refused_and_not_waited_for(study_folder: Path) -> None:
    (study_folder / "study.toml").unlink()
    os.mkfifo(study_folder / "study.toml")
    os.mkfifo(study_folder / "site.toml")
    with pytest.raises(StudyError, match=r"study\.toml is a pipe or a device, not a regular file"):
        load(study_folder)
    with pytest.raises(StudyError, match=r"site\.toml is a pipe or a device, not a regular file"):
        load_site(study_folder / "site.toml")


def test_a_device_is_refused(study_folder: Path) -> None:
    (study_folder / "study.toml").unlink()
    (study_folder / "study.toml").symlink_to("/dev/zero")
    with pytest.raises(StudyError, match="is a pipe or a device, not a regular file"):
        load(study_folder)


def test_a_huge_file_is_refused_by_its_size(study_folder: Path) -> None:
    with (study_folder / "study.toml").open("r+b") as file:
        file.truncate(10**9)  # holes: nothing is written
    with pytest.raises(StudyError, match=r"has 1,000,000,000 bytes; the limit is"):
        load(study_folder)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("num_workers = " + "9" * 5000, "does not fit into 64 bits"),
        (f"x = {'[' * 5000}{']' * 5000}", "is nested more than 50 levels deep"),
        (f'executor = "{"x" * 200_000}"', "has 200,000 characters"),
        (f'executor = "{"x" * 90_000}"', "there is no executor 'xxx"),
    ],
)
def test_site_files_are_bounded_too(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "site.toml").write_text(content)
    with pytest.raises(StudyError, match=says) as caught:
        load_site(tmp_path / "site.toml")
    assert len(str(caught.value)) < 1000


def test_as_many_runs_as_there_may_be_are_read_in_seconds(study_folder: Path) -> None:
    file = study_folder / "study.toml"
    seeds = list(range(limits.MAX_RUNS // 5))
    file.write_text(file.read_text().replace("[0, 1]", str(seeds)))
    begun = time.process_time()
    assert len(load(study_folder).runs()) == limits.MAX_RUNS + 1
    assert time.process_time() - begun < 5


@pytest.mark.parametrize(("made", "named"), [("none", "none"), ("empty", "empty"), ("used", "used/demo")])
def test_the_remedy_for_a_missing_study_names_a_folder_that_can_be_written(
    tmp_path: Path, made: str, named: str
) -> None:
    if made != "none":
        (tmp_path / made).mkdir()
    if made == "used":
        (tmp_path / made / "notes.txt").write_text("mine")
    with pytest.raises(StudyError) as caught:
        load(tmp_path / made)
    assert str(caught.value).endswith(f"crosslift new demo {tmp_path / named}")
