"""crosslift recommend on a finished study."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / "execution"))
from finished_study import write_finished_study

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
    assert "150 to spend" in done.output and "against the same of every language" in done.output
    assert done.output.count("to learn most, train") == 2 and "mixtures left out one by one" in done.output
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
