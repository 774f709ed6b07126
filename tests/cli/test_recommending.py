"""crosslift recommend on a finished study."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from finished_study import write_finished_study
from typer.testing import CliRunner

from crosslift.cli import app
from crosslift.errors import StudyError, TransferError


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recommend") / "study"
    write_finished_study(folder, num_mixtures=6, num_seeds=1)
    return folder


def test_a_mixture_is_proposed_with_its_doubts_and_a_page(study: Path):
    done = CliRunner().invoke(
        app, ["recommend", str(study), "--budget", "150", "--languages", "en,sw,te", "--next", "2"]
    )
    assert done.exit_code == 0, done.output
    assert "budget 150" in done.output and "minus the same of every language" in done.output
    assert "cross-validation over mixtures" in done.output
    assert done.output.count("next run ") <= 2
    page = study / "report" / "recommendation" / "index.html"
    assert "The recommended mixture beats" in page.read_text()
    text = (page.parent / "mixture.toml").read_text()
    assert text.startswith("[mixtures.recommended]") and " ja = " not in text


def test_what_is_not_there_is_told_with_what_is(study: Path):
    said = CliRunner().invoke(app, ["recommend", str(study), "--model", "tinny"])
    assert isinstance(said.exception, TransferError) and "Did you mean 'tiny'" in str(said.exception)
    said = CliRunner().invoke(
        app, ["recommend", str(study), "--unit", "bytes", "--objective", "best", "--cost", "sw:2"]
    )
    assert isinstance(said.exception, StudyError) and len(said.exception.problems) == 3


def unfinished(folder: Path, *, done: int) -> Path:
    """A study of six runs of which only the first few are evaluated."""
    write_finished_study(folder, num_mixtures=6, num_seeds=1)
    for run in range(done, 6):
        for marker in (folder / "runs" / f"tiny.m{run}.s0").rglob("done.json"):
            marker.unlink()
    return folder


@pytest.mark.parametrize("done", [0, 1])
def test_before_there_is_anything_to_choose_by_it_says_which_runs_to_begin_with(tmp_path: Path, done: int):
    folder = unfinished(tmp_path / "study", done=done)
    said = CliRunner().invoke(app, ["recommend", str(folder), "--next", "0"])
    assert isinstance(said.exception, TransferError) and f"{done} mixtures are evaluated" in str(said.exception)
    asked = CliRunner().invoke(app, ["recommend", str(folder), "--next", "2"])
    assert asked.exit_code == 0, asked.output
    assert "no recommendation" in asked.output and asked.output.count("next run ") == 2
    assert not (folder / "report" / "recommendation").exists()


def test_a_run_that_the_study_plans_is_named(tmp_path: Path):
    folder = unfinished(tmp_path / "study", done=3)
    asked = CliRunner().invoke(app, ["recommend", str(folder), "--next", "20"])
    assert asked.exit_code == 0, asked.output
    for run in (3, 4, 5):
        assert f"planned as tiny.m{run}.s0" in asked.output
    assert "planned as tiny.m0.s0" not in asked.output


def test_an_evaluation_that_judges_no_trained_run_is_told(tmp_path: Path):
    folder = unfinished(tmp_path / "study", done=0)
    lock = json.loads((folder / "lock.json").read_text())
    for record in lock["runs"].values():
        record["evaluations"] = {}
    del lock["checksum"]
    (folder / "lock.json").write_text(json.dumps(lock))
    said = CliRunner().invoke(app, ["recommend", str(folder), "--next", "2"])
    assert isinstance(said.exception, TransferError) and "no trained run with the evaluation 'math'" in str(
        said.exception
    )
