"""Exported scores are read back by `crosslift import` and by the readers of the tools themselves."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from fake_study import open_graph
from finished_study import write_finished_study
from typer.testing import CliRunner

from crosslift.cli import app
from crosslift.discover import members
from crosslift.errors import StoreError, UnknownName
from crosslift.exporting.scores import DATE, export_scores
from crosslift.importing.mapping import load_import
from crosslift.importing.results import read_results

FORMS = members("log format")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scores") / "study"
    write_finished_study(folder, num_mixtures=2, num_seeds=1, tags=("en", "sw", "zh"))
    return folder


@pytest.fixture(scope="module", params=FORMS)
def exported(request: pytest.FixtureRequest, study: Path) -> Path:
    folder = study.parent / request.param
    found = export_scores(open_graph(study), folder, form=request.param)
    assert (found.num_logs, found.num_samples, found.num_runs) == (6, 300, 2)
    return folder


def test_the_scores_come_back_the_same(study: Path, exported: Path):
    found = read_results(load_import(exported / "import.toml")).scores
    key = ["run", "evaluation", "language", "item_id", "cluster", "metric", "value"]
    expected = open_graph(study).store.scores().select(key).sort(key)
    found = found.select(key).with_columns(pl.col("run").str.strip_prefix("crosslift/")).sort(key)
    assert found.equals(expected)


def test_equal_results_give_equal_logs_without_a_path(study: Path, exported: Path, tmp_path: Path):
    export_scores(open_graph(study), tmp_path / "again", form=exported.name)
    files = [one.relative_to(exported) for one in exported.rglob("*") if one.is_file()]
    for file in files:
        content = (exported / file).read_bytes()
        assert content == (tmp_path / "again" / file).read_bytes()
        assert str(study.parent).encode() not in content


def test_a_sample_that_failed_has_no_value(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from crosslift.exporting import scores

    read = scores.read_step_table

    def failing(folder: Path, file: str, schema=None):
        table = read(folder, file, schema)
        if file == "scores.parquet":
            bad = pl.col("item_id") == "test3"
            table = table.with_columns(
                pl.when(bad).then(None).otherwise("value").alias("value"),
                pl.when(bad).then(pl.lit("error")).otherwise("status").alias("status"),
            )
        return table

    monkeypatch.setattr(scores, "read_step_table", failing)
    for form in FORMS:
        export_scores(open_graph(study), tmp_path / form, form=form)
        found = read_results(load_import(tmp_path / form / "import.toml")).scores
        assert found.filter(pl.col("item_id") == "test3")["value"].drop_nulls().is_empty()
        assert found.filter(pl.col("item_id") != "test3")["value"].null_count() == 0


def test_the_command_says_how_to_read_them_back(study: Path, tmp_path: Path):
    said = CliRunner().invoke(app, ["export", "scores", str(study), str(tmp_path / "logs")])
    assert said.exit_code == 0 and "6 logs with 300 samples of 2 runs" in said.output
    back = CliRunner().invoke(app, ["import", str(tmp_path / "logs" / "import.toml"), str(tmp_path / "back")])
    assert back.exit_code == 0 and "2 runs, 12 cells, 600 scores of samples" in back.output, back.output
    with pytest.raises(UnknownName, match="Did you mean 'lm_eval'"):
        export_scores(open_graph(study), tmp_path / "x", form="lm-eval")
    with pytest.raises(StoreError, match="not an empty folder"):
        export_scores(open_graph(study), tmp_path / "logs", form="lm_eval")


# ---------------------------------------------------------------------------------- the readers of the tools themselves


def test_the_harness_reads_its_results_and_samples(study: Path):
    utils = pytest.importorskip("lm_eval.utils", reason="lm-evaluation-harness is not installed", exc_type=ImportError)
    folder = study.parent / "harness"
    export_scores(open_graph(study), folder, form="lm_eval")
    names = [str(file) for file in sorted(folder.rglob("*")) if file.is_file()]
    (results, other) = utils.get_results_filenames(names)
    samples = utils.get_sample_results_filenames(names)
    assert len(samples) == 6 and "tiny.m0.s0" in results and "tiny.m1.s0" in other
    assert {utils.get_file_task_name(Path(one).name) for one in samples} == {"math_en", "math_sw", "math_zh"}
    assert {utils.get_file_datetime(Path(one).name) for one in samples} == {DATE}
    table = utils.make_table(json.loads(Path(results).read_text()))
    assert "math_en" in table and "accuracy" in table and "0.5" in table


def test_inspect_reads_its_logs(study: Path):
    log = pytest.importorskip("inspect_ai.log", reason="inspect-ai is not installed", exc_type=ImportError)
    folder = study.parent / "of-inspect"
    export_scores(open_graph(study), folder, form="inspect")
    listed = log.list_eval_logs(str(folder))
    assert len(listed) == 6
    for one in listed:
        found = log.read_eval_log(one)
        assert found.status == "success" and len(found.samples) == 50
        mean = sum(sample.scores["accuracy"].as_float() for sample in found.samples) / 50
        assert found.results.scores[0].metrics["mean"].value == pytest.approx(mean)
        assert found.samples[0].output.completion == "1" and found.samples[0].target == "1"
