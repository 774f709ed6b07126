"""Whatever is given for any option of recommend, explore and pilot: an answer or a message, and no traceback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer
from fake_study import install_fakes, open_graph
from finished_study import write_finished_study
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from in_process import crosslift
from tiny_study import STUDY, write_corpus, write_study

from crosslift.cli import app
from crosslift.errors import CrossliftError
from crosslift.execution.phases.prepare import prepare

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
PLAUSIBLE = (
    "en", "sw", "en,sw", "xx", "math", "math=2", "sw=2.5", "sw=all", "en=0.4", "math:sw=0.1", "de=0.002/token", "tiny",
    "items", "tokens", "mean", "worst", "weighted", "within 1 point with probability .9", "jsonl",
)  # fmt: skip
HOSTILE = (
    "", " ", "=", "=1", "sw=", "sw=nan", "sw=-inf", "sw=1e999", ":", ",,", "-1", "0", "1", "3", "nan", "inf", "1e-300",
    "1e300", "9" * 40, "../..", "/", "/dev/null/x", "\u202e", "%s", "[red]", "within 0 points",
)  # fmt: skip
characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")  # what a command line can hold
values = st.sampled_from(PLAUSIBLE) | st.sampled_from(HOSTILE) | st.text(characters, max_size=6)
quietly = settings(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, max_examples=10)


@st.composite
def options(draw: st.DrawFn, command: str) -> list[str]:
    """Some options of a command, each with any value."""
    known = [one for one in COMMANDS[command].params if one.param_type_name == "option" and one.name != "output"]
    chosen = draw(st.lists(st.sampled_from(known), min_size=1, max_size=4, unique_by=lambda one: one.name))
    found: list[str] = []
    for one in chosen:
        name = draw(st.sampled_from(one.opts))
        found += [name] if one.is_flag else [f"{name}={draw(values)}"]
    return found


class NotExecuted(CrossliftError):
    """Instead of a batch of runs."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study, a planned one, and data for a pilot."""
    folder = tmp_path_factory.mktemp("any")
    write_finished_study(folder / "recommend", num_mixtures=4, num_seeds=1, tags=("en", "sw"))
    install_fakes()
    text = STUDY.replace("[training]", '[training]\ntrainer = "fake_amounts"').replace("base = true", "base = false")
    text = text.replace("max_tokens = 8", 'max_tokens = 8\ngenerator = "fake_amounts"')
    write_study(folder / "explore", text=text)
    prepare(open_graph(folder / "explore"), say=lambda line: None)
    write_corpus(folder / "english.jsonl", 60, first=0)
    return folder


def give(command: str, place: Path, given: list[str], patch: pytest.MonkeyPatch) -> None:
    def execute(*arguments: object, **named: object) -> None:
        raise NotExecuted("not executed.")

    always = {
        "recommend": [place / "recommend"],
        "explore": [place / "explore", "--runs=1"],
        "pilot": [place / "pilot", "--model=pocket:qwen3-s", f"--data={place / 'english.jsonl'}", "--languages=es,sw"],
    }
    with patch.context() as within:
        within.setattr("crosslift.exploring.explore.execute", execute)
        within.chdir(place)
        crosslift(command, *always[command], *given)  # raises whatever is no CrossliftError


@pytest.mark.parametrize("command", ["recommend", "explore", "pilot"])
@quietly
@given(data=st.data())
def test_no_value_of_an_option_ends_in_a_traceback(
    place: Path, monkeypatch: pytest.MonkeyPatch, command: str, data: st.DataObject
):
    give(command, place, data.draw(options(command)), monkeypatch)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("command", ["recommend", "explore", "pilot"])
@settings(quietly, max_examples=150, derandomize=False)
@given(data=st.data())
def test_no_value_of_an_option_ends_in_a_traceback_at_length(
    place: Path, monkeypatch: pytest.MonkeyPatch, command: str, data: st.DataObject
):
    give(command, place, data.draw(options(command)), monkeypatch)
