"""Proposals on finished studies: within the data and the metric's range, valid as files, never the same twice."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from finished_study import NUM_ITEMS, TAGS, write_finished_study
from in_process import without_charts
from typer.testing import CliRunner

from crosslift.api.questions.recommending import advise_graph
from crosslift.cli import app
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.store import Store
from crosslift.recommendation.question import Question
from crosslift.recommendation.search import LEAST_DIFFERENCE, difference
from crosslift.studies.parsing.load import load

MIXTURES = {
    "shared": "",
    "disjoint": "".join(
        f'[mixtures.m{n}]\ncomponents = [{{ corpus = "train", shares = {shares} }}]\n'
        'budget = { amount = 100 }\npairing = "disjoint"\n'
        for n, shares in enumerate(("{ en = 1.0 }", "{ en = 0.5, es = 0.5 }", "{ en = 0.5, sw = 0.25, ja = 0.25 }"))
    ),
    "repeated, by language": "".join(
        f'[mixtures.m{n}]\ncomponents = [{{ corpus = "train", counts = {{ {counts} }} }}]\n'
        'pairing = "independent"\nrepeat = true\norder = "by_language"\n'
        for n, counts in enumerate(("en = 150", "en = 100, es = 100", "sw = 120"))
    ),
    "two corpora, and a mixture with the name": """
[corpora.more]
reader = "jsonl"
task = "math"
path = "train.jsonl"
languages = ["en", "sw", "te"]

[mixtures.m0]
components = [{ corpus = "train", counts = { en = 60, es = 20 } }, { corpus = "more", counts = { en = 20 } }]
pairing = "disjoint"

[mixtures.m1]
components = [{ corpus = "train", counts = { en = 30 } }, { corpus = "more", counts = { en = 10, sw = 40 } }]
pairing = "disjoint"

[mixtures.recommended]
components = [{ corpus = "train", counts = { ja = 30 } }, { corpus = "more", counts = { te = 40 } }]
pairing = "disjoint"
""",
    "one language": "".join(
        f'[mixtures.m{n}]\ncomponents = [{{ corpus = "train", counts = {{ en = {count} }} }}]\npairing = "shared"\n'
        for n, count in enumerate((30, 60, 90))
    ),
    "two tasks": """
[corpora.other]
reader = "jsonl"
task = "open_ended"
path = "train.jsonl"
languages = ["en", "es"]
"""
    + "".join(
        f'[mixtures.m{n}]\ncomponents = [{{ corpus = "train", counts = {{ {counts} }} }}, '
        '{ corpus = "other", counts = { en = 20, es = 10 } }]\npairing = "independent"\n'
        for n, counts in enumerate(("en = 60", "en = 30, sw = 30", "es = 60"))
    ),
    "tokens": "".join(
        f'[mixtures.m{n}]\ncomponents = [{{ corpus = "train", shares = {shares} }}]\n'
        'budget = { amount = 1500, unit = "tokens", tokenizer = "tiny" }\npairing = "shared"\n'
        for n, shares in enumerate(("{ en = 1.0 }", "{ en = 0.5, es = 0.5 }", "{ en = 0.5, sw = 0.5 }"))
    ),
}


def helped(run: str, tag: str, item: int) -> bool:
    """Right for 15 of 50 items, and for 20 more in the second language of the run's mixture."""
    number = int(run.split(".")[1].removeprefix("m").replace("recommended", "2"))
    return (item * 7 + ord(tag[0])) % NUM_ITEMS < 15 + 20 * (tag == TAGS[1 + number % 5])


def graph_of(folder: Path) -> StepGraph:
    return StepGraph(load(folder, data="optional"), Store(folder))


@pytest.fixture(scope="module", autouse=True)
def pages_without_charts() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        without_charts(patch)
        yield


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("proposals") / "study"
    write_finished_study(folder, num_mixtures=6, num_seeds=1, right=helped)
    return folder


@pytest.mark.parametrize("kind", MIXTURES)
def test_the_written_mixture_passes_check_where_it_is_pasted(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("crosslift.recommendation.feasibility.WIDEST_MARGIN", 1.0)  # whatever can be told
    write_finished_study(tmp_path, num_mixtures=6, num_seeds=1, mixtures=MIXTURES[kind], right=helped)
    options = ["--unit", "tokens"] if kind == "tokens" else []
    languages = [] if kind == "one language" else ["--languages", "en,es,sw"]
    done = CliRunner().invoke(app, ["recommend", str(tmp_path), *languages, *options])
    assert done.exit_code == 0, done.output + repr(done.exception)
    pasted = (tmp_path / "report" / "recommendation" / "mixture.toml").read_text()
    with (tmp_path / "study.toml").open("a") as file:
        file.write("\n" + pasted)
    checked = CliRunner().invoke(app, ["check", str(tmp_path)])
    assert checked.exit_code == 0, pasted + checked.output + repr(checked.exception)


@pytest.mark.parametrize("right", [False, True])
def test_where_all_scores_are_at_one_end_nothing_is_recommended(tmp_path: Path, right: bool):
    write_finished_study(tmp_path, num_mixtures=3, num_seeds=1, right=lambda run, tag, item: right)
    done = CliRunner().invoke(app, ["recommend", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert f"cannot tell: all scores are within 2 points of the {'highest' if right else 'lowest'}" in done.output
    assert not (tmp_path / "report" / "recommendation").exists()


def test_an_earlier_recommendation_goes_when_the_answer_becomes_cannot_tell(tmp_path: Path, study: Path):
    folder = tmp_path / "study"
    shutil.copytree(study, folder)
    place = folder / "report" / "recommendation"
    first = CliRunner().invoke(app, ["recommend", str(folder), "--next", "1"])
    assert first.exit_code == 0 and {"index.html", "mixture.toml", "question.toml"} <= {
        one.name for one in place.iterdir()
    }
    asked = CliRunner().invoke(app, ["recommend", str(folder), "--languages", "th", "--next", "0"])
    assert asked.exit_code == 0, asked.output + repr(asked.exception)
    assert "cannot tell: no run has trained on or measured th" in asked.output
    assert "crosslift pilot NEW_STUDY --model ./model --reader jsonl --task math --data train.jsonl" in asked.output
    assert not place.exists()


def test_next_runs_differ_from_each_other_and_from_what_is_known(study: Path):
    advice = advise_graph(graph_of(study), Question(), num_next_runs=12)
    known = [
        dict(zip(row["languages"], row["num_items"], strict=True)) for row in Store(study).runs().iter_rows(named=True)
    ]
    proposed = [one.amounts for one in advice.next_runs]
    assert len(proposed) == 12
    for place, one in enumerate(proposed):
        assert all(difference(one, other) >= LEAST_DIFFERENCE for other in (*known, *proposed[:place]))


def test_an_observed_mixture_is_expected_at_about_what_was_measured(study: Path):
    from crosslift.recommendation.advice import observe
    from crosslift.transfer.model.gaussian_process import fit_transfer_model

    observed = observe(Store(study), load(study, data="optional")).observations
    fitted = fit_transfer_model(observed)
    near = 0
    for row, label in enumerate(observed.mixtures):
        (expected,) = fitted.predict_mean([observed.amounts[label]], "tiny", [observed.languages[row]])[0]
        near += abs(expected - observed.values[row]) <= 2 * (expected * (1 - expected) / NUM_ITEMS) ** 0.5
    assert near >= 0.95 * len(observed.values)
