"""What a user meets on the first day: names are completed and explained, a run is one line, errors are counted."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
from finished_study import write_finished_study
from tiny_study import LANGUAGES, write_study
from typer.testing import CliRunner

from crosslift import __version__
from crosslift.cli import app, display
from crosslift.discover import PACKAGES, members, summary
from crosslift.errors import StoreError, StudyError
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.store import Store
from crosslift.execution.inspection.status import losses, status
from crosslift.importing.mapping import COLUMNS, load_import
from crosslift.studies.parsing.load import load

runner = CliRunner()


def said(*arguments: object) -> str:
    result = runner.invoke(app, [str(one) for one in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "study"
    write_finished_study(folder, num_mixtures=2, num_seeds=1, tags=("en", "sw"))
    return folder


def test_the_version_is_printed():
    assert said("--version") == f"crosslift {__version__}\n"


@pytest.mark.parametrize("kind", PACKAGES)
def test_every_member_says_what_it_is(kind: str):
    for name in members(kind):
        assert len(summary(kind, name)) > 10
        assert summary(kind, name).endswith(".")


def test_lists_say_what_members_are_in_one_line_each():
    for kind, one in (("tasks", "math"), ("readers", "jsonl"), ("formats", "lm_eval"), ("analyses", "pairs")):
        line = next(line for line in said("list", kind).splitlines() if line.startswith(one))
        assert summary(kind.removesuffix("s") if kind != "analyses" else "analysis", one) in line


def test_the_columns_of_an_import_are_listed_and_named_where_they_lack(tmp_path):
    listed = said("list", "columns")
    assert all(f"\n{name} " in listed for name in COLUMNS)
    assert "task_name" in said("list", "formats")
    (tmp_path / "m.toml").write_text('name = "x"\n[source]\nformat = "inspect"\npath = "logs"\n')
    with pytest.raises(StudyError, match=r"lacks run, task, language, value.*model, task_name, metric, item, epoch"):
        load_import(tmp_path / "m.toml")


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("list re", {"readers", "recipes"}),
        ("new d", {"demo"}),
        ("check x --reader js", {"jsonl"}),
        ("check x --task ma", {"math"}),
        ("run x --executor l", {"local"}),
        ("work STUDY tiny.m1", {"tiny.m1.s0"}),
        ("recommend STUDY --evaluation m", {"math"}),
        ("work nowhere ti", set()),
    ],
)
def test_the_shell_completes_names(words: str, completed: set[str], finished):
    line = f"crosslift {words}".replace("STUDY", str(finished))
    variables = {"_CROSSLIFT_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
    ended = subprocess.run(
        [sys.executable, "-m", "crosslift"], env=os.environ | variables, capture_output=True, text=True
    )
    assert set(ended.stdout.split()) == completed
    assert ended.stderr == ""


def test_a_preset_is_not_written_over_files_and_the_hint_can_be_followed(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match=r"\. exists and is not an empty folder\. .* crosslift new demo demo$"):
        said("new", "demo", ".")
    assert said("new", "demo", "demo").startswith("Wrote demo/study.toml")


def test_errors_in_the_data_are_counted_where_a_check_ends(tmp_path):
    study = write_study(tmp_path / "study")
    for name in ("train", "test"):
        rows = [
            {"item_id": f"{name}-1", "language": tag, "prompt": f"How many apples remain ({tag})?", "answer": "1"}
            for tag in LANGUAGES
        ]
        with (study / f"{name}.jsonl").open("a") as file:
            file.writelines(json.dumps(row | {"completion": "1"}) + "\n" for row in rows)
    end = said("check", study).splitlines()[-1]
    assert "its data contain errors" in end
    assert "leaks" in end
    assert "No problems were found" not in end


def test_status_has_one_line_per_run_with_its_loss(finished):
    lines = said("status", finished).splitlines()
    rows = [line for line in lines if line.startswith("tiny.m")]
    assert len(rows) == 2
    assert all("1.000" in row and "done" in row for row in rows)


def test_long_messages_stay_in_their_line_and_are_printed_once_below(finished):
    graph = StepGraph(load(finished), Store(finished))
    message = "what\nwas [en] " * 60
    found = [replace(one, message=message) for one in status(graph)]
    screen = display.console()
    screen.file, screen.width = io.StringIO(), 100
    screen.print(display._table(found, losses(graph, found)))
    lines = screen.file.getvalue().splitlines()
    assert len(lines) == 1 + len(found) + 1
    assert display._messages(found) == [f"2 runs done: {message}"]


def test_results_are_read_without_the_model_and_the_data(finished, tmp_path):
    study = tmp_path / "archived"
    shutil.copytree(finished, study)
    shutil.rmtree(study / "model")
    (study / "train.jsonl").unlink()
    (study / "test.jsonl").unlink()
    assert "2 done" in said("status", study)
    assert "2 done" in said("plan", study)
    assert "All files are intact" in said("verify", study)
    assert said("report", study).strip().endswith("report/index.html")
    with pytest.raises(StudyError, match="does not exist"):
        said("prepare", study)


def test_a_model_that_is_needed_and_gone_is_named(finished, tmp_path):
    study = tmp_path / "study"
    shutil.copytree(finished, study)
    shutil.rmtree(study / "model")
    graph = StepGraph(load(study, data="optional"), Store(study))
    with pytest.raises(StudyError, match=r"models\.tiny: the folder \./model does not exist"):
        graph.models["tiny"].folder(study)
    text = (study / "study.toml").read_text()
    (study / "study.toml").write_text(text.replace("./model", "./modle"))
    with pytest.raises(StudyError, match=r"the folder \./modle does not exist"):
        StepGraph(load(study, data="optional"), Store(study)).models  # noqa: B018


def test_a_plan_estimates_tokens_before_a_study_is_prepared(tmp_path):
    study = write_study(tmp_path / "study")
    text = said("plan", study)
    assert "?" not in next(line for line in text.splitlines() if line.startswith("tiny.en-sw.s0"))
    assert "~" in text
    assert "~ marks estimates from the first 50 items of each corpus" in text
    shutil.rmtree(study / "model")
    text = (study / "study.toml").read_text().replace("./model", "owner/name")
    (study / "study.toml").write_text(text)
    assert "4 bytes per token where the tokenizer is not on this disk: tiny" in said("plan", study)
    rows = [json.loads(line) for line in (study / "train.jsonl").read_text().splitlines()]
    size = sum(len(f"{row['prompt']}\n{row['completion']}".encode()) for row in rows if row["language"] == "en")
    estimated = next(line for line in said("plan", study).splitlines() if line.startswith("tiny.en.s0")).split()[2]
    assert int(estimated.removeprefix("~")) == round(32 * size / 40 / 4)
