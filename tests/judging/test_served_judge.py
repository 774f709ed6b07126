"""A real server with a small judge behind it: `crosslift run` rates the answers and the report shows the ratings."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from finished_study import write_finished_study
from pocket_judge import train_judge, verdict
from served import transformers_serving
from typer.testing import CliRunner

from crosslift.cli import app
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.store import Store
from crosslift.execution.folder.tables import read_table, write_table
from crosslift.reporting.data import collect
from crosslift.studies.parsing.load import load

PLAIN = "This is an answer to the question, and it is of some length."
GOOD = "This is an answer to the question, and it is a good one."


def write_study(folder: Path) -> StepGraph:
    """Two finished runs, one of which gives good answers, whose evaluation wants ratings."""
    write_finished_study(folder, num_mixtures=2, num_seeds=1, tags=("en", "es"))
    graph = StepGraph(load(folder), Store(folder))
    for name, state in graph.states().items():
        for one in state.steps.evaluations:
            file = one.step.folder / "predictions.parquet"
            text = GOOD if name.startswith("tiny.m1") else PLAIN
            with one.step.rewriting("predictions.parquet"):
                write_table(file, read_table(file).with_columns(text=pl.lit(text)))
    file = folder / "study.toml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("[evaluations.math]\n", '[evaluations.math]\nmetric = "rating"\n'), encoding="utf-8")
    return StepGraph(load(folder), Store(folder))


@pytest.mark.slow
@pytest.mark.long
def test_a_served_judge_rates_the_answers_of_a_run(tmp_path: Path):
    for package in ("openai", "fastapi", "uvicorn"):
        pytest.importorskip(package)
    model = train_judge(tmp_path / "judge", (PLAIN, GOOD))
    graph = write_study(tmp_path / "study")
    site = tmp_path / "site.toml"
    with transformers_serving(model) as base_url:
        site.write_text(
            f'[judge]\nbase_url = "{base_url}"\nmodel = "{model}"\nconcurrency = 2\nmax_tokens = 24\n', encoding="utf-8"
        )
        done = CliRunner().invoke(app, ["run", str(tmp_path / "study"), "--site", str(site)])
    assert done.exit_code == 0, done.output
    found = graph.store.scores().filter(pl.col("metric") == "rating")
    english = found.filter(language="en")
    assert english.height == 100 and set(english["status"]) == {"scored"}  # a verdict for every answer
    by_run = dict(english.group_by("run").agg(pl.col("value").mean()).iter_rows())
    good = next(mean for run, mean in by_run.items() if run.startswith("tiny.m1"))
    plain = next(mean for run, mean in by_run.items() if run.startswith("tiny.m0"))
    assert (plain, good) == (2.0, 4.0), verdict(GOOD)
    assert set(found.filter(language="es")["value"]) == {1.0}  # answers in English: by rule, without the judge
    assert collect(graph.store, load(tmp_path / "study")).metric("math") == "rating"
    page = (tmp_path / "study" / "report" / "index.html").read_text(encoding="utf-8")
    assert "rating" in page
    replies = (tmp_path / "study" / "judgements" / "math.jsonl").read_text(encoding="utf-8")
    assert str(tmp_path) not in page and replies.count("\n") == 100
